package service_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func TestEchoStream(t *testing.T) {
	for _, endpoint := range []string{"tcp://127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		url, _ := serve(t, &service.Server{}, endpoint, lookup(t, "echo").Stream)
		for _, size := range []int{0, 1, 14, 511, 512, 513, 100_000, 3 << 20} {
			want := randomText(size)
			if got := exchange(t, dial(t, url), want); got != want {
				t.Errorf("%s: %d bytes came back as %d others", url, size, len(got))
			}
		}
	}
}

func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}

func TestIncrementStream(t *testing.T) {
	url, _ := serve(t, nil, "tcp://127.0.0.1:0", lookup(t, "increment").Stream)
	c := dial(t, url)
	if _, err := c.Write([]byte("A")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); err != nil || b[0] != 'B' {
		t.Fatalf("A became %q, %v", b, err)
	}
	if got := exchange(t, c, "\x00\xfe\xffz"); got != "\x01\xff\x00{" {
		t.Errorf("got %q", got)
	}
}

func TestDiscardStream(t *testing.T) {
	trace, ends := traced()
	url, _ := serve(t, &service.Server{Trace: trace}, "tcp://127.0.0.1:0", lookup(t, "discard").Stream)
	if got := exchange(t, dial(t, url), randomText(1<<20)); got != "" {
		t.Errorf("got %d bytes", len(got))
	}
	if end := ends.next(t); end.received != 1<<20 || end.sent != 0 || end.err != nil {
		t.Errorf("traced %+v", end)
	}
}

// A client that sends everything before it reads anything gets everything,
// and the server holds no more of it than its one buffer.
func TestEchoBackpressure(t *testing.T) {
	const size = 64 << 20
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "echo").Stream)
	c := dial(t, url)
	sent, got := sha256.New(), sha256.New()
	piece := []byte(randomText(1 << 20))
	stuck := make(chan struct{})
	written := make(chan error, 1)
	go func() {
		var err error
		for i := range size / len(piece) {
			if i == 32 {
				close(stuck) // more than the sockets hold: the reader must begin
			}
			piece[0] = byte(i)
			sent.Write(piece)
			if _, err = c.Write(piece); err != nil {
				break
			}
		}
		written <- errors.Join(err, tincan.CloseWrite(c))
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	select {
	case <-stuck:
	case <-time.After(300 * time.Millisecond): // it may well be stuck sooner
	}
	n, err := io.Copy(got, c)
	runtime.ReadMemStats(&after)
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("other bytes came back")
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// Clients that panic their handler, reset or stall touch no other, each gets its due, and the trace tells.
func TestOneClientsFaultIsItsOwn(t *testing.T) {
	trace, ends := traced()
	fault := errors.New("a fault")
	server := &service.Server{Trace: trace}
	url, end := serve(t, server, "tcp://127.0.0.1:0", func(ctx context.Context, conn net.Conn) error {
		b := make([]byte, 1)
		if _, err := io.ReadFull(conn, b); err != nil {
			return err
		}
		switch b[0] {
		case 'p':
			panic(fault)
		case 'x':
			runtime.Goexit()
		case 'e':
			return fault
		}
		return lookup(t, "echo").Stream(ctx, conn)
	})
	honest := dial(t, url)
	stalled := dial(t, url)
	for _, tt := range []struct {
		name  string
		first string
		want  func(error) bool
	}{
		{"panic", "p", func(err error) bool {
			var p *service.PanicError
			return errors.As(err, &p) && errors.Is(err, fault) && bytes.Contains(p.Stack, []byte("server_test"))
		}},
		{"goexit", "x", func(err error) bool {
			var p *service.PanicError
			return errors.As(err, &p) && p.Value == nil
		}},
		{"error", "e", func(err error) bool { return errors.Is(err, fault) }},
	} {
		c := dial(t, url)
		if _, err := io.WriteString(c, tt.first); err != nil {
			t.Fatal(err)
		}
		// A failure must not look like an orderly end.
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the client reads %v, want a reset", tt.name, err)
		}
		if end := ends.next(t); !tt.want(end.err) || end.received != 1 {
			t.Errorf("%s: traced %+v", tt.name, end)
		}
	}
	reset := dial(t, url)
	if _, err := io.WriteString(reset, "."); err != nil {
		t.Fatal(err)
	}
	if err := tincan.Abort(reset); err != nil {
		t.Fatal(err)
	}
	if end := ends.next(t); tincan.KindOf(end.err) != tincan.KindReset {
		t.Errorf("reset: traced %+v", end)
	}
	if got := exchange(t, honest, ".hello"); got != "hello" {
		t.Errorf("the honest client got %q", got)
	}
	if end := ends.next(t); end.err != nil || end.received != 6 || end.sent != 5 {
		t.Errorf("honest: traced %+v", end)
	}
	stalled.Close()
	ends.next(t)
	end()
}

func TestManyClients(t *testing.T) {
	const clients, rounds = 200, 20
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "increment").Stream)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := tincan.Dial(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range rounds {
				b := []byte{byte(i)}
				if _, err := c.Write(b); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c, b); err != nil || b[0] != byte(i)+1 {
					t.Errorf("client %d got %v, %v", i, b, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server service.Server
		talk   bool
	}{
		{"idle", service.Server{IdleTimeout: 50 * time.Millisecond}, false},
		{"total", service.Server{Timeout: 100 * time.Millisecond}, false},
		{"total, busy", service.Server{Timeout: 100 * time.Millisecond, IdleTimeout: time.Hour}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace, ends := traced()
			tt.server.Trace = trace
			url, _ := serve(t, &tt.server, "tcp://127.0.0.1:0", lookup(t, "echo").Stream)
			c := dial(t, url)
			b := make([]byte, 1)
			for tt.talk {
				if _, err := c.Write(b); err != nil {
					break
				}
				if _, err := io.ReadFull(c, b); err != nil {
					break
				}
			}
			if _, err := c.Read(b); !tt.talk && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client reads %v, want a reset", err)
			}
			if end := ends.next(t); !errors.Is(end.err, os.ErrDeadlineExceeded) || tincan.KindOf(end.err) != tincan.KindTimeout {
				t.Errorf("traced %+v", end)
			}
		})
	}
}

// A client that never reads is bounded by the idle time, even where the server is stuck writing.
func TestIdleTimeoutEndsStuckWrite(t *testing.T) {
	trace, ends := traced()
	url, _ := serve(t, &service.Server{IdleTimeout: 100 * time.Millisecond, Trace: trace}, "tcp://127.0.0.1:0", lookup(t, "chargen").Stream)
	dial(t, url)
	if end := ends.next(t); !errors.Is(end.err, os.ErrDeadlineExceeded) || end.sent == 0 {
		t.Errorf("traced %+v", end)
	}
}

func TestHalfClosedIsTraced(t *testing.T) {
	var mu sync.Mutex
	var sides []tincan.Side
	trace, ends := traced()
	trace.HalfClosed = func(_ tincan.Conn, side tincan.Side) {
		mu.Lock()
		defer mu.Unlock()
		sides = append(sides, side)
	}
	url, _ := serve(t, &service.Server{Trace: trace}, "tcp://127.0.0.1:0", func(_ context.Context, conn net.Conn) error {
		if _, err := io.Copy(conn, conn); err != nil {
			return err
		}
		return tincan.CloseWrite(conn)
	})
	exchange(t, dial(t, url), "x")
	ends.next(t)
	mu.Lock()
	defer mu.Unlock()
	if len(sides) != 2 || sides[0] != tincan.Remote || sides[1] != tincan.Local {
		t.Errorf("traced %v, want remote and then local", sides)
	}
}

// What is traced is still counted, and ends seen, where io.Copy goes past Read and Write.
func TestTracedCopy(t *testing.T) {
	for _, idle := range []time.Duration{0, time.Hour} {
		trace, ends := traced()
		url, _ := serve(t, &service.Server{Trace: trace, IdleTimeout: idle}, "tcp://127.0.0.1:0", func(_ context.Context, conn net.Conn) error {
			if _, err := io.Copy(conn, conn); err != nil {
				return err
			}
			return tincan.CloseWrite(conn)
		})
		want := randomText(1 << 20)
		if got := exchange(t, dial(t, url), want); got != want {
			t.Error("other bytes came back")
		}
		if end := ends.next(t); end.received != 1<<20 || end.sent != 1<<20 || end.err != nil {
			t.Errorf("traced %+v", end)
		}
	}
}

// Without a reason to watch it, a handler gets the bare connection.
func TestBareConnection(t *testing.T) {
	got := make(chan net.Conn, 1)
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", func(_ context.Context, conn net.Conn) error {
		got <- conn
		return nil
	})
	dial(t, url)
	if c, bare := (<-got).(*net.TCPConn); !bare {
		t.Errorf("got a %T", c)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- (&service.Server{}).Serve(t.Context(), l, lookup(t, "echo").Stream) }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

// A listener that runs out of descriptors is asked again.
func TestServeSurvivesTemporaryErrors(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &scarceListener{Listener: inner, failures: 3}
	running(t, func(ctx context.Context) error { return (&service.Server{}).Serve(ctx, l, lookup(t, "echo").Stream) })
	if got := exchange(t, dial(t, "tcp://"+inner.Addr().String()), "x"); got != "x" {
		t.Errorf("got %q", got)
	}
}

type scarceListener struct {
	net.Listener
	failures int
}

func (l *scarceListener) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestDaytimeAndTimeStream(t *testing.T) {
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "daytime").Stream)
	// What the client sends must not reset the answer away.
	got := exchange(t, dial(t, url), strings.Repeat("x", 1000))
	when, err := time.Parse("Monday, January 2, 2006 15:04:05-UTC\r\n", got)
	if err != nil || time.Since(when).Abs() > time.Minute {
		t.Errorf("daytime: %q, %v", got, err)
	}
	url, _ = serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "time").Stream)
	if got := exchange(t, dial(t, url), ""); len(got) != 4 || since1900(got).Abs() > time.Minute {
		t.Errorf("time: %q", got)
	}
}

// since1900 tells how long ago an RFC 868 time was.
func since1900(b string) time.Duration {
	seconds := int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
	epoch := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	return time.Since(time.Unix(epoch+seconds, 0))
}

func TestChargenStream(t *testing.T) {
	url, end := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "chargen").Stream)
	c := dial(t, url)
	got := make([]byte, 74*200)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		line := string(got[74*i : 74*(i+1)])
		for j := range 72 {
			if want := byte(' ' + (i+j)%95); line[j] != want {
				t.Fatalf("line %d, character %d is %q, want %q", i, j, line[j], want)
			}
		}
		if line[72:] != "\r\n" {
			t.Fatalf("line %d ends with %q", i, line[72:])
		}
	}
	// It has no end of its own, so a drain waits for none, though nobody reads.
	start := time.Now()
	end()
	if took := time.Since(start); took > service.DefaultDrain/2 {
		t.Errorf("the drain took %v", took)
	}
}
