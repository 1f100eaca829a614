package ws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/ws"
)

func TestServerRefuses(t *testing.T) {
	tests := []struct {
		name, query, request string
		status               int
	}{
		{"path", "", request("/other", nil), 404},
		{"method", "", strings.Replace(request("/x", nil), "GET", "POST", 1), 405},
		{"key", "", request("/x", map[string]string{"Sec-WebSocket-Key": "short"}), 400},
		{"no key", "", request("/x", map[string]string{"Sec-WebSocket-Key": ""}), 400},
		{"version", "", request("/x", map[string]string{"Sec-WebSocket-Version": "8"}), 400},
		{"no upgrade", "", request("/x", map[string]string{"Upgrade": ""}), 426},
		{"HTTP/1.0", "", strings.Replace(request("/x", nil), "1.1", "1.0", 1), 426},
		{"no host", "", request("/x", map[string]string{"Host": ""}), 400},
		{"body", "", request("/x", map[string]string{"Content-Length": "1"}), 400},
		{"not HTTP", "", "\x16\x03\x01 hello\r\n\r\n", 400},
		{"long header", "", request("/x", map[string]string{"Cookie": strings.Repeat("c", 1<<20)}), 431},
		{"origin", "", request("/x", map[string]string{"Origin": "https://elsewhere.example"}), 403},
		{"other origin", "?origin=here.example", request("/x", map[string]string{"Origin": "https://elsewhere.example"}), 403},
		{"subprotocol", "?subprotocol=chat", request("/x", map[string]string{"Sec-WebSocket-Protocol": "talk, say"}), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, "ws://127.0.0.1:0/x"+tt.query)
			raw := dialRaw(t, l.Addr())
			go func() { _, _ = io.WriteString(raw, tt.request) }() // the long one may not be taken whole
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			err = tincan.Handshake(ctx(t), c)
			_, readErr := c.Read(make([]byte, 1))
			closed := make(chan struct{})
			go func() { // at once: the answer must get through all the same
				defer close(closed)
				_ = c.Close()
			}()
			var (
				handshake *tincan.HandshakeError
				status    *ws.StatusError
				opErr     *net.OpError
			)
			if !errors.As(err, &handshake) || handshake.Layer != "ws" || !errors.As(err, &status) || status.Code != tt.status {
				t.Errorf("Handshake: %v", err)
			}
			if !errors.As(readErr, &handshake) || !errors.As(readErr, &opErr) || tincan.KindOf(readErr) != tincan.KindDenied {
				t.Errorf("Read: %v", readErr)
			}
			resp := raw.response()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || err != nil || len(body) == 0 {
				t.Errorf("answer %s, %q, %v", resp.Status, body, err)
			}
			if _, err := raw.r.ReadByte(); err == nil {
				t.Error("more follows the answer")
			}
			_ = raw.Close()
			<-closed
		})
	}
}

func TestServerAccepts(t *testing.T) {
	tests := []struct{ name, query, request string }{
		{"plain", "", request("/x", nil)},
		{"query", "", request("/x?a=b", nil)},
		{"same origin", "", request("/x", map[string]string{"Origin": "http://localhost"})},
		{"named origin", "?origin=here.example", request("/x", map[string]string{"Origin": "https://here.example"})},
		{"any origin", "?origin=*", request("/x", map[string]string{"Origin": "null"})},
		{"subprotocol", "?subprotocol=chat", request("/x", map[string]string{"Sec-WebSocket-Protocol": "talk, chat"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, "ws://127.0.0.1:0/x"+tt.query)
			raw := dialRaw(t, l.Addr())
			raw.send(tt.request + string(raw.mask(0x82, []byte("early")))) // in the request's packet
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 10)
			if n, err := c.Read(buf); string(buf[:n]) != "early" || err != nil {
				t.Fatalf("Read = %q, %v", buf[:n], err)
			}
			resp := raw.response()
			if got := resp.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 §1.3
				t.Errorf("Sec-WebSocket-Accept %q", got)
			}
			if strings.Contains(tt.query, "chat") != (resp.Header.Get("Sec-WebSocket-Protocol") == "chat") {
				t.Errorf("Sec-WebSocket-Protocol %q", resp.Header.Get("Sec-WebSocket-Protocol"))
			}
			_ = raw.Close()
		})
	}
}

func TestFramesOfAMisbehavingClient(t *testing.T) {
	tests := []struct {
		name   string
		frames func(*rawPeer)
		want   string // what is read
		err    func(error) bool
		status websocket.StatusCode // of the close frame that the client gets, 0 for none
	}{
		{"fragments with a ping between", func(p *rawPeer) {
			p.frame(0x01, []byte("frag"))
			p.frame(0x89, nil)
			p.frame(0x80, []byte("ment"))
			p.frame(0x88, nil)
		}, "fragment", func(err error) bool { return err == io.EOF }, 0},
		{"vanishes between frames", func(p *rawPeer) {
			p.frame(0x82, []byte("whole"))
			_ = p.Close()
		}, "whole", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, 0},
		{"vanishes inside a frame", func(p *rawPeer) {
			_, _ = p.Write(p.mask(0x82, []byte("whole"))[:8])
			_ = p.Close()
		}, "", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, 0},
		{"closes with status 1011", func(p *rawPeer) {
			p.frame(0x88, append(binary.BigEndian.AppendUint16(nil, 1011), "oh no"...))
		}, "", func(err error) bool {
			var frame websocket.CloseError
			return errors.As(err, &frame) && frame.Code == 1011 && frame.Reason == "oh no" && tincan.KindOf(err) == tincan.KindReset
		}, 1011},
		{"goes away", func(p *rawPeer) {
			p.frame(0x88, binary.BigEndian.AppendUint16(nil, 1001))
		}, "", func(err error) bool { return err == io.EOF }, 1001},
		{"reserved bits", func(p *rawPeer) {
			p.frame(0xf2, []byte("x"))
		}, "", isProtocolError, 1002},
		{"continuation of nothing", func(p *rawPeer) {
			p.frame(0x80, []byte("x"))
		}, "", isProtocolError, 1002},
		{"unmasked", func(p *rawPeer) {
			p.send("\x82\x01x")
		}, "", isProtocolError, 0},
		{"2^63-1 bytes announced", func(p *rawPeer) {
			p.send("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")
			_ = p.Close()
		}, "", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, "ws://127.0.0.1:0/x")
			raw := dialRaw(t, l.Addr())
			raw.upgrade("/x")
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := tincan.Handshake(ctx(t), c); err != nil {
				t.Fatal(err)
			}
			raw.response()
			tt.frames(raw)
			got, err := io.ReadAll(c)
			if err == nil {
				err = io.EOF
			}
			if string(got) != tt.want || !tt.err(err) {
				t.Errorf("read %q, %v", got, err)
			}
			if tt.status != 0 {
				op, body := raw.readFrame()
				if op != 0x88 || len(body) < 2 || binary.BigEndian.Uint16(body) != uint16(tt.status) {
					t.Errorf("frame %#x %q, want a close with status %d", op, body, tt.status)
				}
			}
			_ = raw.Close()
		})
	}
}

func isProtocolError(err error) bool {
	var opErr *net.OpError
	return errors.As(err, &opErr) && opErr.Op == "read" && err != io.EOF
}

func TestSilentClient(t *testing.T) {
	bubble(t, "?handshake-timeout=3s", func(t *testing.T, p *pipes, d *tincan.Dialer, l *tincan.Listener) {
		start := time.Now()
		dialled := make(chan net.Conn, 1)
		go func() {
			c, _ := p.Dial(t.Context(), nil, nil)
			dialled <- c
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent := <-dialled
		defer silent.Close()
		late := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			late <- err
		}()
		// A slow one holds up no other.
		honest := make(chan error, 1)
		go func() {
			c, err := d.Dial(t.Context(), "ws://localhost:80")
			if err == nil {
				err = c.Close()
			}
			honest <- err
		}()
		other, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := tincan.Handshake(t.Context(), other); err != nil {
			t.Errorf("an honest client: %v", err)
		}
		_, _ = io.ReadAll(other)
		_ = other.Close()
		if err := <-honest; err != nil || time.Since(start) != 0 {
			t.Errorf("an honest client: %v after %v", err, time.Since(start))
		}
		var handshake *tincan.HandshakeError
		if err := <-late; !errors.As(err, &handshake) || tincan.KindOf(err) != tincan.KindTimeout || time.Since(start) != 3*time.Second {
			t.Errorf("Read: %v, kind %v, after %v", err, tincan.KindOf(err), time.Since(start))
		}
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the silent client reads %v", err)
		}
	})
}

func TestDeadlineWhileUpgrading(t *testing.T) {
	l := listen(t, "ws://127.0.0.1:0")
	raw := dialRaw(t, l.Addr())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("Read: %v", err)
	}
	if _, err := c.Write([]byte("x")); tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("Write: %v", err)
	}
	_ = c.SetDeadline(time.Time{})
	raw.upgrade("/") // it is not too late
	raw.frame(0x82, []byte("x"))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("Read: %v", err)
	}
	_ = raw.Close()
}

func TestHandshakeEndsWithContext(t *testing.T) {
	l := listen(t, "ws://127.0.0.1:0")
	dialRaw(t, l.Addr())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = tincan.Handshake(short, c)
	var handshake *tincan.HandshakeError
	if !errors.As(err, &handshake) {
		t.Errorf("Handshake: %v", err)
	}
	_ = c.Close()
}

func TestCloseBeforeAndWhileUpgrading(t *testing.T) {
	l := listen(t, "ws://127.0.0.1:0")
	for _, begin := range []bool{false, true} {
		raw := dialRaw(t, l.Addr())
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		if begin {
			go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := raw.r.ReadByte(); err != io.EOF {
			t.Errorf("the client reads %v", err)
		}
		if begin {
			if err := <-read; !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
				t.Errorf("Read: %v", err)
			}
		}
	}
}

func TestDialRefused(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		reason  string
	}{
		{"not found", http.NotFound, 404, "404 page not found"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 302, ""},
		{"no WebSocket", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 200, ""},
		{"a text that never ends", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 503, ""},
		{"early hints first", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		}, 418, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			c, err := dialer().Dial(ctx(t), strings.Replace(s.URL, "http", "ws", 1)+"/x")
			var (
				handshake *tincan.HandshakeError
				status    *ws.StatusError
			)
			if c != nil || !errors.As(err, &handshake) || handshake.Layer != "ws" || tincan.KindOf(err) != tincan.KindDenied {
				t.Errorf("Dial: %v, kind %v", err, tincan.KindOf(err))
			}
			if !errors.As(err, &status) || status.Code != tt.status || status.Reason != tt.reason {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

func TestDialFailures(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		kind   tincan.ErrorKind
	}{
		{"closes", "", tincan.KindDenied},
		{"no HTTP", "220 mail.example ESMTP\r\n", tincan.KindDenied},
		{"header without end", strings.Repeat("x", 1<<20), tincan.KindDenied},
		{"wrong key", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n", tincan.KindDenied},
		{"silent", "silent", tincan.KindTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096)) // the request
				if tt.answer == "silent" {
					_, _ = io.Copy(io.Discard, c)
				}
				_, _ = io.WriteString(c, tt.answer)
			}()
			query := ""
			if tt.answer == "silent" {
				query = "?handshake-timeout=100ms"
			}
			_, err = dialer().Dial(ctx(t), "ws://"+l.Addr().String()+query)
			var handshake *tincan.HandshakeError
			if !errors.As(err, &handshake) || tincan.KindOf(err) != tt.kind {
				t.Errorf("Dial: %v, kind %v", err, tincan.KindOf(err))
			}
			<-done
		})
	}
}

func TestDialSends(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r
		http.NotFound(w, r)
	}))
	defer s.Close()
	port := s.Listener.Addr().(*net.TCPAddr).Port
	e := &tincan.Endpoint{Scheme: "ws", Host: "localhost", Port: strconv.Itoa(port), Resource: "/a b", Options: tincan.Options{
		Query: "k=v w", Origin: "https://here.example", Subprotocol: "chat",
	}}
	_, _ = dialer().DialEndpoint(ctx(t), e)
	r := <-got
	for _, check := range []struct{ what, got, want string }{
		{"path", r.URL.Path, "/a b"},
		{"query", r.URL.RawQuery, "k=v%20w"},
		{"host", r.Host, "localhost:" + strconv.Itoa(port)},
		{"origin", r.Header.Get("Origin"), "https://here.example"},
		{"subprotocol", r.Header.Get("Sec-WebSocket-Protocol"), "chat"},
		{"extensions", r.Header.Get("Sec-WebSocket-Extensions"), ""},
	} {
		if check.got != check.want {
			t.Errorf("%s %q, want %q", check.what, check.got, check.want)
		}
	}
}

func TestSubprotocolMustBeAgreedOn(t *testing.T) {
	l := listen(t, "ws://127.0.0.1:0")
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = tincan.Handshake(context.Background(), c)
			_, _ = io.ReadAll(c)
			_ = c.Close()
		}
	}()
	_, err := dialer().Dial(ctx(t), l.Addr().String()+"?subprotocol=chat")
	var handshake *tincan.HandshakeError
	if !errors.As(err, &handshake) {
		t.Errorf("Dial: %v", err)
	}
	client, server := pair(t, "ws://127.0.0.1:0?subprotocol=chat", "?subprotocol=chat")
	_, _ = client.Close(), server.Close()
}

func TestTraceTellsTheHandshake(t *testing.T) {
	told := make(chan string, 2)
	trace := func(side string) *tincan.Trace {
		return &tincan.Trace{Handshaken: func(c tincan.Conn, layer string, _ time.Duration, err error) {
			if c == nil || layer != "ws" || err != nil {
				t.Errorf("%s: layer %q of %v, %v", side, layer, c, err)
			}
			told <- side
		}}
	}
	lc, d := listenConfig(), dialer()
	lc.Trace, d.Trace = trace("server"), trace("client")
	l, err := lc.ListenMessage(t.Context(), "ws://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan tincan.MessageConn)
	go func() {
		c, err := l.Accept(context.Background())
		if err == nil {
			err = tincan.Handshake(context.Background(), c)
		}
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	c, err := d.DialMessage(ctx(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer (<-accepted).Close()
	defer c.Close()
	if a, b := <-told, <-told; a == b {
		t.Errorf("told by %s and %s", a, b)
	}
}
