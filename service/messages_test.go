package service_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// messageEndpoints are endpoints of each message family that this system has.
func messageEndpoints(t *testing.T) []string {
	endpoints := []string{"udp://127.0.0.1:0", "mem:" + t.Name()}
	if runtime.GOOS != "windows" {
		endpoints = append(endpoints, "unixgram:"+filepath.Join(t.TempDir(), "g"))
	}
	if runtime.GOOS == "linux" {
		endpoints = append(endpoints, "unixpacket:"+filepath.Join(t.TempDir(), "p"))
	}
	return endpoints
}

// onEach runs a test of a message service over every family, with a goroutine for each peer and inline.
func onEach(t *testing.T, h service.MessageHandler, test func(t *testing.T, url string)) {
	t.Helper()
	for _, endpoint := range messageEndpoints(t) {
		for _, inline := range []bool{false, true} {
			scheme, _, _ := strings.Cut(endpoint, ":")
			t.Run(fmt.Sprintf("%s inline=%t", scheme, inline), func(t *testing.T) {
				url, _ := serveMessages(t, &service.Server{Inline: inline}, endpoint, h)
				test(t, url)
			})
		}
	}
}

// message gives the handler of a ready service.
func message(t testing.TB, name string, o tincan.Options) service.MessageHandler {
	t.Helper()
	h, err := lookup(t, name).Message(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEchoMessages(t *testing.T) {
	onEach(t, message(t, "echo", tincan.Options{}), func(t *testing.T, url string) {
		c := dialMessage(t, url)
		for _, want := range []string{"a", "", "b", strings.Repeat("m", 8<<10)} {
			if got := ask(t, c, want); got != want {
				t.Errorf("%d bytes came back as %d", len(want), len(got))
			}
		}
	})
}

func TestIncrementAndDiscardMessages(t *testing.T) {
	onEach(t, message(t, "increment", tincan.Options{}), func(t *testing.T, url string) {
		if got := ask(t, dialMessage(t, url), "A\xff"); got != "B\x00" {
			t.Errorf("got %q", got)
		}
	})
	onEach(t, message(t, "discard", tincan.Options{}), func(t *testing.T, url string) {
		c := dialMessage(t, url)
		if err := c.WriteMessage(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if !silent(t, c) {
			t.Error("discard answered")
		}
	})
}

func TestSumMessages(t *testing.T) {
	ints := func(ns ...uint32) (b []byte) {
		for _, n := range ns {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	for _, tt := range []struct {
		name, format string
		request      []byte
		want         string // empty: no answer
	}{
		{"one", "", ints(7), string(ints(7))},
		{"some", "", ints(1, 2, 3), string(ints(6))},
		{"the largest", "", ints(1<<32-2, 1), string(ints(1<<32 - 1))},
		{"does not fit", "", ints(1<<32-1, 1), ""},
		{"no integers", "", nil, ""},
		{"not whole", "", []byte("abcde"), ""},
		{"as text", "string", ints(1<<32-1, 1), "4294967296"},
		{"no integers as text", "string", nil, ""},
	} {
		h := message(t, "sum", tincan.Options{Format: tt.format})
		got, err := h(t.Context(), tt.request)
		if err != nil || string(got) != tt.want || (got == nil) != (tt.want == "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	onEach(t, message(t, "sum", tincan.Options{Format: "string"}), func(t *testing.T, url string) {
		c := dialMessage(t, url)
		if err := c.WriteMessage(t.Context(), []byte("bad")); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, c, string(ints(20, 22))); got != "42" {
			t.Errorf("got %q", got)
		}
	})
}

func TestMessageOptions(t *testing.T) {
	for _, s := range service.Services() {
		if s.Message == nil {
			continue
		}
		if _, err := s.Message(tincan.Options{}); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if _, err := s.Message(tincan.Options{Format: "morse"}); err == nil {
			t.Errorf("%s took a format that there isn't", s.Name)
		}
	}
}

func TestDaytimeTimeAndChargenMessages(t *testing.T) {
	onEach(t, message(t, "daytime", tincan.Options{}), func(t *testing.T, url string) {
		if got := ask(t, dialMessage(t, url), "x"); !strings.HasSuffix(got, "-UTC\r\n") {
			t.Errorf("daytime: %q", got)
		}
	})
	onEach(t, message(t, "time", tincan.Options{}), func(t *testing.T, url string) {
		if got := ask(t, dialMessage(t, url), ""); len(got) != 4 || since1900(got).Abs() > time.Minute {
			t.Errorf("time: %q", got)
		}
	})
	onEach(t, message(t, "chargen", tincan.Options{}), func(t *testing.T, url string) {
		c := dialMessage(t, url)
		lengths := map[int]bool{}
		for range 50 {
			got := ask(t, c, "")
			lengths[len(got)] = true
			if len(got) > 512 || strings.Trim(got, "\r\n") != strings.TrimFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("chargen: %q", got)
			}
		}
		if len(lengths) < 10 {
			t.Errorf("chargen: only %d different lengths", len(lengths))
		}
	})
}

// A peer elsewhere could be anyone's victim.
func TestChargenAnswersLoopbackAlone(t *testing.T) {
	h := message(t, "chargen", tincan.Options{})
	for _, tt := range []struct {
		peer net.Addr
		want bool
	}{
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, true},
		{&net.UDPAddr{IP: net.IPv6loopback}, true},
		{&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)}, false},
		{&net.UDPAddr{IP: net.ParseIP("2001:db8::1")}, false},
		{&net.UnixAddr{Name: "/x", Net: "unixgram"}, true},
	} {
		l := &peerListener{peer: tt.peer, answered: make(chan bool, 1)}
		end := running(t, func(ctx context.Context) error { return (&service.Server{}).ServeMessages(ctx, l, h) })
		if got := <-l.answered; got != tt.want {
			t.Errorf("%v is answered: %t, want %t", tt.peer, got, tt.want)
		}
		end()
	}
}

// A peerListener has one client, which claims to be peer, sends one message and ends.
type peerListener struct {
	peer     net.Addr
	answered chan bool
	accepted bool
}

func (l *peerListener) Accept(ctx context.Context) (tincan.MessageConn, error) {
	if !l.accepted {
		l.accepted = true
		return &peerConn{l: l}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
func (l *peerListener) Close() error   { return nil }
func (l *peerListener) Addr() net.Addr { return l.peer }

type peerConn struct {
	l             *peerListener
	read, replied bool
}

func (c *peerConn) ReadMessage(context.Context, []byte) (int, error) {
	if c.read {
		return 0, io.EOF
	}
	c.read = true
	return 0, nil
}

func (c *peerConn) WriteMessage(context.Context, []byte) error {
	c.replied = true
	return nil
}

func (c *peerConn) Close() error {
	c.l.answered <- c.replied
	return nil
}
func (c *peerConn) LocalAddr() net.Addr  { return c.l.peer }
func (c *peerConn) RemoteAddr() net.Addr { return c.l.peer }

func TestPeer(t *testing.T) {
	onEach(t, func(ctx context.Context, _ []byte) ([]byte, error) {
		return fmt.Append([]byte{}, service.Peer(ctx), service.Draining(ctx) != nil), nil
	}, func(t *testing.T, url string) {
		c := dialMessage(t, url)
		want := c.LocalAddr().String()
		if got := ask(t, c, "who am I"); !strings.Contains(got, want) || !strings.HasSuffix(got, "true") {
			t.Errorf("got %q, want %q in it", got, want)
		}
	})
	if a := service.Peer(t.Context()); a != nil {
		t.Errorf("without a server: %v", a)
	}
	if ch := service.Draining(t.Context()); ch != nil {
		t.Error("without a server there is a drain")
	}
}

// A handler that panics or fails on one client's request goes on for the others.
func TestMessageFaultIsItsOwn(t *testing.T) {
	h := func(_ context.Context, request []byte) ([]byte, error) {
		switch string(request) {
		case "panic":
			panic("as asked")
		case "error":
			return nil, errors.New("as asked")
		}
		return request, nil
	}
	onEach(t, h, func(t *testing.T, url string) {
		honest := dialMessage(t, url)
		ask(t, honest, "first")
		for _, request := range []string{"panic", "error"} {
			if err := dialMessage(t, url).WriteMessage(t.Context(), []byte(request)); err != nil {
				t.Fatal(err)
			}
		}
		if got := ask(t, honest, "still there"); got != "still there" {
			t.Errorf("got %q", got)
		}
	})
}

func TestRequestTooLong(t *testing.T) {
	trace, ends := traced()
	url, _ := serveMessages(t, &service.Server{MaxRequest: 10, Trace: trace}, "mem:"+t.Name(), message(t, "echo", tincan.Options{}))
	c := dialMessage(t, url)
	if got := ask(t, c, "0123456789"); got != "0123456789" {
		t.Errorf("got %q", got)
	}
	if err := c.WriteMessage(t.Context(), make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	if end := ends.next(t); !errors.Is(end.err, io.ErrShortBuffer) || end.received != 10 || end.sent != 10 {
		t.Errorf("traced %+v", end)
	}
}

func TestMessageIdleTimeout(t *testing.T) {
	trace, ends := traced()
	url, _ := serveMessages(t, &service.Server{IdleTimeout: 50 * time.Millisecond, Trace: trace}, "mem:"+t.Name(), message(t, "echo", tincan.Options{}))
	c := dialMessage(t, url)
	ask(t, c, "x")
	if end := ends.next(t); tincan.KindOf(end.err) != tincan.KindTimeout {
		t.Errorf("traced %+v", end)
	}
}

// The server is told to stop with a thousand questions sent and not one answer
// read: all are answered.
func TestDrainLosesNoReply(t *testing.T) {
	const clients, each = 20, 50
	for _, endpoint := range messageEndpoints(t) {
		scheme, _, _ := strings.Cut(endpoint, ":")
		if strings.HasPrefix(scheme, "u") && scheme != "unixpacket" {
			continue // datagrams may be dropped at any time
		}
		t.Run(scheme, func(t *testing.T) {
			url, end := serveMessages(t, nil, endpoint, message(t, "calc", tincan.Options{}))
			var sent, read sync.WaitGroup
			for range clients {
				c := dialMessage(t, url)
				ask(t, c, "\x00\x00\x00\x00\x00") // it was accepted
				sent.Go(func() { askMany(t, c, each) })
				read.Go(func() { checkMany(t, c, each) })
			}
			sent.Wait()
			end()
			read.Wait()
		})
	}
}

// askMany sends the questions 0+1, 1+1 and so on.
func askMany(t *testing.T, c tincan.MessageConn, count int) {
	for i := range count {
		q := service.CalcRequest{Ints: []uint32{uint32(i), 1}}
		b, err := q.Append(nil)
		if err == nil {
			err = c.WriteMessage(context.Background(), b)
		}
		if err != nil {
			t.Errorf("question %d: %v", i, err)
			return
		}
	}
}

// checkMany reads their answers.
func checkMany(t *testing.T, c tincan.MessageConn, count int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	buf := make([]byte, 300)
	for i := range count {
		n, err := c.ReadMessage(ctx, buf)
		if err != nil {
			t.Errorf("answer %d: %v", i, err)
			return
		}
		if got, err := service.DecodeCalcReply(buf[:n], false); err != nil || got != fmt.Sprint(i+1) {
			t.Errorf("answer %d: %q, %v", i, got, err)
		}
	}
}
