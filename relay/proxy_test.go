package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/porttest"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/ws"
)

// A turn of a conversation: what is awaited, and what is answered.
type turn struct{ want, answer string }

// scripted serves one connection by turns and then echoes what comes.
func scripted(t *testing.T, turns ...turn) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for _, turn := range turns {
			got := make([]byte, len(turn.want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != turn.want {
				t.Errorf("the proxy got %q, %v; want %q", got, err, turn.want)
				return
			}
			if _, err := io.WriteString(c, turn.answer); err != nil {
				t.Errorf("answering: %v", err)
			}
		}
		_, _ = io.Copy(c, c) // until the client is done
	}()
	return l.Addr().String()
}

// through gives a dialer that goes through the proxy.
func through(t *testing.T, proxy string) *tincan.Dialer {
	t.Helper()
	p, err := relay.ParseProxy(proxy)
	if err != nil {
		t.Fatal(err)
	}
	d := &tincan.Dialer{}
	ws.AddTo(&d.Config)
	p.AddTo(&d.Config)
	return d
}

const httpRequest = "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\nUser-Agent: tincan\r\n"

var socksName = turn{"\x05\x01\x00\x03\x0bexample.org\x00\x50", "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"}

// TestProxyConversations checks every byte of what is said, and that what follows the proxy's answer at once is the target's.
func TestProxyConversations(t *testing.T) {
	answer := func(tn turn, s string) turn { return turn{tn.want, s} }
	for name, tt := range map[string]struct {
		proxy, to string
		turns     []turn
	}{
		"socks5 name":          {"socks5://", "tcp://example.org:80", []turn{{"\x05\x01\x00", "\x05\x00"}, socksName}},
		"socks5 IPv4":          {"socks5://", "tcp4://192.0.2.1:80", []turn{{"\x05\x01\x00", "\x05\x00"}, {"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", socksName.answer}}},
		"socks5 IPv6":          {"socks5h://", "tcp6://[2001:db8::1]:80", []turn{{"\x05\x01\x00", "\x05\x00"}, {"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50", socksName.answer}}},
		"socks5 its loopback":  {"socks5://", "tcp://:80", []turn{{"\x05\x01\x00", "\x05\x00"}, {"\x05\x01\x00\x03\x09localhost\x00\x50", socksName.answer}}},
		"socks5 answers IPv6":  {"socks5://", "tcp://example.org:80", []turn{{"\x05\x01\x00", "\x05\x00"}, answer(socksName, "\x05\x00\x00\x04"+strings.Repeat("a", 18))}},
		"socks5 answers name":  {"socks5://", "tcp://example.org:80", []turn{{"\x05\x01\x00", "\x05\x00"}, answer(socksName, "\x05\x00\x00\x03\x02hi\x00\x50")}},
		"socks5 answers empty": {"socks5://", "tcp://example.org:80", []turn{{"\x05\x01\x00", "\x05\x00"}, answer(socksName, "\x05\x00\x00\x03\x00\x00\x50")}},
		"socks5 password":      {"socks5://me:p%40ss@", "tcp://example.org:80", []turn{{"\x05\x02\x00\x02", "\x05\x02"}, {"\x01\x02me\x04p@ss", "\x01\x00"}, socksName}},
		"socks5 not needed":    {"socks5://me:pass@", "tcp://example.org:80", []turn{{"\x05\x02\x00\x02", "\x05\x00"}, socksName}},
		"http":                 {"http://", "tcp://example.org:80", []turn{{httpRequest + "\r\n", "HTTP/1.1 200 OK\r\n\r\n"}}},
		"http IPv6":            {"http://", "tcp://[2001:db8::1]:http", []turn{{strings.ReplaceAll(httpRequest, "example.org", "[2001:db8::1]") + "\r\n", "HTTP/1.0 200 Connection established\r\nVia: a\r\n\r\n"}}},
		"http password":        {"http://me:pass@", "tcp://example.org:80", []turn{{httpRequest + "Proxy-Authorization: Basic bWU6cGFzcw==\r\n\r\n", "HTTP/1.1 204\n\n"}}},
		"http announces":       {"http://", "tcp://example.org:80", []turn{{httpRequest + "\r\n", "HTTP/1.1 102 Wait\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			last := &tt.turns[len(tt.turns)-1]
			last.answer += "banner"
			c, err := through(t, tt.proxy+scripted(t, tt.turns...)).Dial(t.Context(), tt.to)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, bare := c.(*net.TCPConn); !bare {
				t.Errorf("got a %T, which can't splice", c)
			}
			sayAndHear(t, c, "hello", "bannerhello")
		})
	}
}

func sayAndHear(t *testing.T, c net.Conn, say, hear string) {
	t.Helper()
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(hear))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != hear {
		t.Fatalf("heard %q, %v; want %q", got, err, hear)
	}
}

func TestProxyFailures(t *testing.T) {
	method := turn{"\x05\x01\x00", "\x05\x00"}
	reply := func(code string) []turn {
		return []turn{method, {socksName.want, "\x05" + code + "\x00\x01\x00\x00\x00\x00\x00\x00"}}
	}
	says := func(s string) []turn { return []turn{{httpRequest + "\r\n", s}} }
	for name, tt := range map[string]struct {
		proxy  string
		turns  []turn
		kind   tincan.ErrorKind
		is     error
		status int
	}{
		"socks5 failed":         {"socks5://", reply("\x01"), tincan.KindConnect, nil, 1},
		"socks5 not allowed":    {"socks5://", reply("\x02"), tincan.KindDenied, fs.ErrPermission, 2},
		"socks5 no network":     {"socks5://", reply("\x03"), tincan.KindConnect, syscall.ENETUNREACH, 3},
		"socks5 no host":        {"socks5://", reply("\x04"), tincan.KindConnect, syscall.EHOSTUNREACH, 4},
		"socks5 refused":        {"socks5://", reply("\x05"), tincan.KindConnect, syscall.ECONNREFUSED, 5},
		"socks5 expired":        {"socks5://", reply("\x06"), tincan.KindTimeout, os.ErrDeadlineExceeded, 6},
		"socks5 no connect":     {"socks5://", reply("\x07"), tincan.KindConnect, errors.ErrUnsupported, 7},
		"socks5 of its own":     {"socks5://", reply("\x63"), tincan.KindConnect, nil, 0x63},
		"socks5 wants more":     {"socks5://", []turn{{"\x05\x01\x00", "\x05\xff"}}, tincan.KindDenied, fs.ErrPermission, 0},
		"socks5 wants other":    {"socks5://", []turn{{"\x05\x01\x00", "\x05\x01"}}, tincan.KindConnect, nil, 0},
		"socks5 wrong password": {"socks5://a:b@", []turn{{"\x05\x02\x00\x02", "\x05\x02"}, {"\x01\x01a\x01b", "\x01\x01"}}, tincan.KindDenied, fs.ErrPermission, 1},
		"socks5 is http":        {"socks5://", []turn{{"\x05\x01\x00", "HTTP/1.1 400 Bad\r\n\r\n"}}, tincan.KindConnect, nil, 0},
		"http wants password":   {"http://", says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), tincan.KindDenied, fs.ErrPermission, 407},
		"http forbids":          {"http://", says("HTTP/1.1 403 No\r\n\r\n"), tincan.KindDenied, fs.ErrPermission, 403},
		"http fails":            {"http://", says("HTTP/1.1 502 Bad Gateway\r\n\r\n"), tincan.KindConnect, nil, 502},
		"http is no http":       {"http://", says("SSH-2.0-x\r\n"), tincan.KindConnect, nil, 0},
		"http has no end":       {"http://", says("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 4000)), tincan.KindConnect, nil, 0},
		"http mumbles":          {"http://", says("HTTP/1.1 2oo OK\r\n\r\n"), tincan.KindConnect, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := through(t, tt.proxy+scripted(t, tt.turns...)).Dial(t.Context(), "tcp://example.org:80")
			if err == nil {
				_ = c.Close()
				t.Fatal("connected")
			}
			var (
				opErr *net.OpError
				proxy *relay.ProxyError
			)
			if !errors.As(err, &opErr) || opErr.Op != "dial" || !errors.As(err, &proxy) || proxy.Status != tt.status {
				t.Errorf("got %#v", err)
			}
			if tincan.KindOf(err) != tt.kind || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("kind %v, want %v and %v: %v", tincan.KindOf(err), tt.kind, tt.is, err)
			}
		})
	}
}

// TestProxyEnds: a proxy that ends in the middle, is not there or says nothing.
func TestProxyEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := through(t, "socks5://"+scripted(t, turn{"\x05\x01\x00", "\x05"})).Dial(ctx, "tcp://example.org:80")
	if tincan.KindOf(err) != tincan.KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent proxy: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Read(make([]byte, 3))
			_ = c.Close()
		}
		_ = l.Close()
	}()
	d := through(t, "socks5://"+l.Addr().String())
	if _, err = d.Dial(t.Context(), "tcp://example.org:80"); tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("a proxy that hangs up: %v", err)
	}
	_ = l.Close()
	if _, err = d.Dial(t.Context(), "tcp://example.org:80"); tincan.KindOf(err) != tincan.KindConnect || !errors.As(err, new(*relay.ProxyError)) {
		t.Errorf("no proxy: %v", err)
	}
}

func TestParseProxy(t *testing.T) {
	for _, bad := range []string{
		"", "host:1080", "socks5://host", "socks5://:1080", "socks4://host:1", "https://host:1", "http://host:1/x", "http://host:1?x",
		"socks5://host:99999", "socks5://host:x", "socks5://secret@host:1", "socks5://a:secret@ho st:1", "a:secret@host:1",
		"socks5://secret:" + strings.Repeat("x", 256) + "@host:1", "http://a%3Asecret:b@host:1", "http://a:secret%@host:1",
	} {
		_, err := relay.ParseProxy(bad)
		var wrong *tincan.EndpointError
		if !errors.As(err, &wrong) || wrong.Problem == "" || wrong.Remedy == "" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	p, err := relay.ParseProxy("http://user:secret@[::1]:3128/")
	if err != nil || p.String() != "http://[::1]:3128" {
		t.Errorf("got %v, %v", p, err)
	}
	_, err = through(t, "http://[::1]:3128").Dial(t.Context(), "tcp://[fe80::1%eth0]:80")
	if tincan.KindOf(err) != tincan.KindUsage {
		t.Errorf("a zone: %v", err)
	}
}

// TestProxyUnderLayers: what runs on tcp goes through the proxy unchanged, half-close and all.
func TestProxyUnderLayers(t *testing.T) {
	proxy := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := tincan.Dial(r.Context(), "tcp://"+r.Host)
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		}
		if err == nil {
			_, err = relay.Streams(context.Background(), c, target, nil)
		}
		if err != nil {
			t.Log(err)
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = proxy.Serve(l) }()
	t.Cleanup(func() { _ = proxy.Close() })
	d := through(t, "http://"+l.Addr().String())
	for _, kind := range []string{"tcp", "ws"} {
		var lc tincan.ListenConfig
		ws.AddTo(&lc.Config)
		target, err := lc.Listen(t.Context(), kinds[kind].endpoint(t))
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan string, 1)
		go func() {
			defer close(heard)
			c, err := target.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			heard <- string(b)
			_ = c.Close()
		}()
		c, err := d.Dial(t.Context(), target.Addr().String())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Error(err)
		}
		if tincan.CloseWrite(c) != nil {
			_ = c.Close()
		}
		if got := <-heard; got != "hello" {
			t.Errorf("%s: heard %q", kind, got)
		}
		_ = c.Close()
		_ = target.Close()
	}
}

// startPeer runs a program until the test ends, and waits until it listens on addr.
func startPeer(t *testing.T, addr string, argv ...string) {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := (&tincan.Dialer{Retry: true, Backoff: tincan.Backoff{Min: 10 * time.Millisecond}}).Dial(ctx, "tcp://"+addr)
	if err != nil {
		t.Fatalf("%s does not listen: %v", argv[0], err)
	}
	_ = c.Close()
}

// reservePort gives an address of 127.0.0.1 on which nobody listens, and its port.
func reservePort(t *testing.T) (addr, port string) {
	t.Helper()
	port = strconv.Itoa(porttest.Reserve(t))
	return net.JoinHostPort("127.0.0.1", port), port
}

// TestRealProxies dials through programs that others wrote.
func TestRealProxies(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs microsocks and ncat")
	}
	for name, argv := range map[string]func(port string) []string{
		"socks5": func(port string) []string {
			return []string{"microsocks", "-i", "127.0.0.1", "-p", port, "-u", "me", "-P", "pass"}
		},
		"http": func(port string) []string {
			return []string{"ncat", "-l", "--keep-open", "--proxy-type", "http", "--proxy-auth", "me:pass", "127.0.0.1", port}
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, port := reservePort(t)
			startPeer(t, addr, argv(port)...)
			target := "tcp://" + scripted(t)
			_, err := through(t, fmt.Sprintf("%s://me:wrong@%s", name, addr)).Dial(t.Context(), target)
			if tincan.KindOf(err) != tincan.KindDenied {
				t.Errorf("with a wrong password: %v", err)
			}
			d := through(t, fmt.Sprintf("%s://me:pass@%s", name, addr))
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			sayAndHear(t, c, "hello", "hello")
			nobody, _ := reservePort(t)
			if _, err := d.Dial(t.Context(), "tcp://"+nobody); tincan.KindOf(err) != tincan.KindConnect {
				t.Errorf("nobody there: %v", err)
			}
		})
	}
}
