package tincan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// listen is tincan.Listen with the listener closed at the end of the test.
func listen(t *testing.T, endpoint string) *tincan.Listener {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, endpoint string) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestListenLoopback(t *testing.T) {
	l := listen(t, "tcp://:0")
	go serveEach(l, func(c net.Conn) { _, _ = io.Copy(c, c); _ = c.Close() })
	addr := l.Addr().(*tincan.Endpoint)
	if addr.Port == "0" {
		t.Fatalf("address is %v, want the port that was taken", addr)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost", ""} {
		c := dial(t, fmt.Sprintf("tcp://%s:%s", host, addr.Port))
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("host %q: %v", host, err)
		}
	}
	dial(t, l.Addr().String())
}

func TestListenEveryInterface(t *testing.T) {
	l := listen(t, "tcp://*:0")
	addr := l.Addr().(*tincan.Endpoint)
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "[::1]", "*"} {
		dial(t, fmt.Sprintf("tcp://%s:%s", host, addr.Port))
	}
}

func TestListenBusyPort(t *testing.T) {
	l := listen(t, "tcp://127.0.0.1:0")
	for _, url := range []string{l.Addr().String(), "tcp://:" + l.Addr().(*tincan.Endpoint).Port} {
		second, err := tincan.Listen(t.Context(), url)
		if err == nil {
			_ = second.Close()
		}
		var opErr *net.OpError
		if tincan.KindOf(err) != tincan.KindBind || !errors.As(err, &opErr) || opErr.Op != "listen" {
			t.Errorf("%s: %v, want a listen error of kind bind", url, err)
		}
	}
}

func TestBareConnections(t *testing.T) {
	l := listen(t, "tcp://127.0.0.1:0?allow=127.0.0.0/8")
	c := dial(t, l.Addr().String())
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("Dial gave a %T, want the bare *net.TCPConn", c)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.(*net.TCPConn); !ok {
		t.Errorf("Accept gave a %T, want the bare *net.TCPConn", s)
	}
}

// refusals collects what a listener's rules turned away.
func refusals(l **tincan.Listener, endpoint string, t *testing.T) <-chan error {
	t.Helper()
	refused := make(chan error, 16)
	lc := &tincan.ListenConfig{Config: tincan.Config{Trace: &tincan.Trace{
		Refused: func(_, _ net.Addr, err error) { refused <- err },
	}}}
	var err error
	if *l, err = lc.Listen(t.Context(), endpoint); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = (*l).Close() })
	return refused
}

func TestRules(t *testing.T) {
	path := func() string { return filepath.Join(t.TempDir(), "s") }
	uid, gid := os.Getuid(), os.Getgid()
	tests := []struct {
		endpoint string
		allowed  bool
	}{
		{"tcp://127.0.0.1:0?allow=127.0.0.1", true},
		{"tcp://127.0.0.1:0?allow=10.0.0.0/8,127.0.0.0/8", true},
		{"tcp://127.0.0.1:0?allow=10.0.0.0/8", false},
		{"tcp://[::1]:0?allow=::1", true},
		{"tcp://[::1]:0?allow=127.0.0.0/8", false},
		{"tcp://*:0?allow=127.0.0.1", true}, // an IPv4 peer of a dual-stack socket
		{fmt.Sprintf("unix:%s?allow-uid=%d", path(), uid), true},
		{fmt.Sprintf("unix:%s?allow-uid=%d", path(), uid+1), false},
		{fmt.Sprintf("unix:%s?allow-uid=%d&allow-gid=%d", path(), uid+1, gid), true},
		{fmt.Sprintf("unix:%s?allow-gid=%d", path(), gid+1), false},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.endpoint, "/", "_"), func(t *testing.T) {
			var l *tincan.Listener
			refused := refusals(&l, tt.endpoint, t)
			accepted := make(chan struct{}, 1)
			go serveEach(l, func(c net.Conn) { accepted <- struct{}{}; _ = c.Close() })
			// The refusal may come before Dial has returned.
			c, dialErr := tincan.Dial(t.Context(), l.Addr().String())
			if dialErr == nil {
				defer c.Close()
			}
			select {
			case <-accepted:
				if !tt.allowed {
					t.Error("accepted, want refused")
				}
			case err := <-refused:
				if tt.allowed {
					t.Errorf("refused: %v", err)
				}
				if !errors.Is(err, tincan.ErrNotAllowed) {
					t.Errorf("refused with %v, want ErrNotAllowed", err)
				}
				if dialErr == nil {
					if _, err := c.Read(make([]byte, 1)); err == nil {
						t.Error("a refused client can read")
					}
				}
			}
		})
	}
}

// poke connects, where a refusal may come before or after Dial has returned.
func poke(t *testing.T, endpoint string) {
	t.Helper()
	if c, err := tincan.Dial(t.Context(), endpoint); err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
}

func TestConnectionCaps(t *testing.T) {
	for _, tt := range []struct{ endpoint, other string }{
		{"tcp://*:0?max-conns=2", ""},
		{"tcp://*:0?max-conns-per-source=2", "[::1]"},
		{"unix:" + filepath.Join(t.TempDir(), "s") + "?max-conns-per-source=2", ""},
	} {
		t.Run(tt.endpoint[:3]+tt.endpoint[strings.Index(tt.endpoint, "?"):], func(t *testing.T) {
			var l *tincan.Listener
			refused := refusals(&l, tt.endpoint, t)
			accepted := make(chan net.Conn, 16)
			go serveEach(l, func(c net.Conn) { accepted <- c })
			url := l.Addr().String()
			dial(t, url)
			dial(t, url)
			first, second := <-accepted, <-accepted
			defer second.Close()
			poke(t, url)
			if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
				t.Errorf("the third was refused with %v, want ErrTooManyConns", err)
			}
			if tt.other != "" { // another source is not affected
				dial(t, "tcp://"+tt.other+":"+l.Addr().(*tincan.Endpoint).Port)
				defer (<-accepted).Close()
			}
			if err := tincan.CloseWrite(first); err != nil {
				t.Errorf("half-close of a counted connection: %v", err)
			}
			_ = first.Close()
			_ = first.Close() // counts once
			dial(t, url)
			again := <-accepted
			defer again.Close()
			poke(t, url)
			if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
				t.Errorf("one too many was refused with %v, want ErrTooManyConns", err)
			}
		})
	}
}

func TestListenerClose(t *testing.T) {
	for _, url := range []string{"tcp://127.0.0.1:0", "tcp://:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		l := listen(t, url)
		result := make(chan error)
		go func() { _, err := l.Accept(); result <- err }()
		if err := l.Close(); err != nil {
			t.Errorf("%s: Close: %v", url, err)
		}
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept gave %v, want net.ErrClosed", url, err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: second Close: %v", url, err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	l := listen(t, "tcp://127.0.0.1:0")
	dead := l.Addr().String()
	_ = l.Close()
	tests := []struct {
		url  string
		want tincan.ErrorKind
	}{
		{dead, tincan.KindConnect},
		{"tcp://" + strings.Repeat("x", 64) + ".invalid:80", tincan.KindConnect}, // no name at all, so that no server of names is waited for
		{"unix:" + filepath.Join(t.TempDir(), "none"), tincan.KindConnect},
		{"tcp://127.0.0.1:no-such-service", tincan.KindConnect},
		{"nonsense", tincan.KindUsage},
		{"udp://127.0.0.1:1", tincan.KindUsage},
		{"ws://127.0.0.1:1/", tincan.KindUsage},
		{"tcp://127.0.0.1:1?local=nowhere", tincan.KindUsage},
	}
	for _, tt := range tests {
		c, err := tincan.Dial(t.Context(), tt.url)
		if err == nil {
			_ = c.Close()
		}
		if got := tincan.KindOf(err); got != tt.want {
			t.Errorf("%s: %v of kind %v, want %v", tt.url, err, got, tt.want)
		}
	}
}

func TestDialTimeout(t *testing.T) {
	// A full backlog drops what comes more: the connection attempt hangs.
	l := listen(t, "tcp://127.0.0.1:0?backlog=1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hung := make(chan struct{})
	for range 8 {
		go func() {
			c, err := tincan.Dial(ctx, l.Addr().String())
			if err == nil {
				<-hung
				_ = c.Close()
			}
		}()
	}
	defer close(hung)
	d := tincan.Dialer{Timeout: 200 * time.Millisecond}
	for {
		start := time.Now()
		c, err := d.Dial(t.Context(), l.Addr().String())
		if err == nil { // the others are not there yet
			defer c.Close()
			continue
		}
		if tincan.KindOf(err) != tincan.KindTimeout {
			t.Errorf("got %v of kind %v, want a timeout", err, tincan.KindOf(err))
		}
		if took := time.Since(start); took < 150*time.Millisecond {
			t.Errorf("it took %v, want about 200ms", took)
		}
		return
	}
}

func TestDialUnixFullBacklog(t *testing.T) {
	l := listen(t, "unix:"+filepath.Join(t.TempDir(), "s")+"?backlog=1")
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	d := tincan.Dialer{Timeout: 100 * time.Millisecond}
	for {
		c, err := d.Dial(t.Context(), l.Addr().String())
		if err != nil {
			if tincan.KindOf(err) != tincan.KindTimeout {
				t.Fatalf("got %v of kind %v, want a timeout", err, tincan.KindOf(err))
			}
			break
		}
		held = append(held, c)
	}
	// One that waits gets in as soon as there is room.
	result := make(chan error)
	go func() {
		c, err := tincan.Dial(t.Context(), l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		result <- err
	}()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestDialRetry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var l *tincan.Listener
	d := tincan.Dialer{
		Retry:   true,
		Backoff: tincan.Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond},
		Config: tincan.Config{Trace: &tincan.Trace{Retrying: func(_ *tincan.Endpoint, attempt int, _ time.Duration, _ error) {
			if attempt == 3 && l == nil {
				l = listen(t, "unix:"+path)
			}
		}}},
	}
	c, err := d.Dial(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.Trace.Retrying = func(*tincan.Endpoint, int, time.Duration, error) { cancel() }
	if _, err := d.Dial(ctx, "unix:"+path+".none"); tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("when ctx ends: %v, want the last attempt's error", err)
	}
	if _, err := d.Dial(t.Context(), "udp://127.0.0.1:1"); tincan.KindOf(err) != tincan.KindUsage {
		t.Errorf("a usage error was retried: %v", err)
	}
}

func TestBackoff(t *testing.T) {
	b := tincan.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for attempt, full := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 5: time.Second, 1000: time.Second} {
		for range 100 {
			if got := b.Wait(attempt); got < full/2 || got > full {
				t.Fatalf("attempt %d waits %v, want %v to %v", attempt, got, full/2, full)
			}
		}
	}
}

func TestSocketOptions(t *testing.T) {
	l := listen(t, "tcp://127.0.0.1:0?recv-buffer=64KiB&send-buffer=64KiB&keep-alive=1s&no-delay=false&reuse-port&backlog=5")
	second := listen(t, l.Addr().String()+"?reuse-port") // the port is shared
	_ = second.Close()
	c := dial(t, l.Addr().String()+"?no-delay=false&keep-alive=off&recv-buffer=64KiB&local=127.0.0.1:0")
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.1" {
		t.Errorf("local address is %s", got)
	}
}
