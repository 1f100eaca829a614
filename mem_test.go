package tincan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
)

// memStreams gives both ends of an in-process stream.
func memStreams(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := tincan.Listen(context.Background(), "mem:"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, l)
}

// memMessages gives both ends of an in-process message connection.
func memMessages(t testing.TB, options string) (client, server tincan.MessageConn) {
	t.Helper()
	ctx := context.Background()
	l, err := tincan.ListenMessage(ctx, "mem:"+t.Name()+options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if client, err = tincan.DialMessage(ctx, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func TestMemNames(t *testing.T) {
	ctx := t.Context()
	streams, err := tincan.Listen(ctx, "mem:names-streams")
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	messages, err := tincan.ListenMessage(ctx, "mem:names-messages")
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Close()
	dial := func(url string) error { return discard(tincan.Dial(ctx, url)) }
	dialMessage := func(url string) error { return discard(tincan.DialMessage(ctx, url)) }
	listen := func(url string) error { return discard(tincan.Listen(ctx, url)) }
	listenMessage := func(url string) error { return discard(tincan.ListenMessage(ctx, url)) }
	for _, tt := range []struct {
		name string
		do   func(string) error
		url  string
		want error
		op   string
		kind tincan.ErrorKind
	}{
		{"dial nobody", dial, "mem:names-nobody", syscall.ECONNREFUSED, "dial", tincan.KindConnect},
		{"dial nobody for messages", dialMessage, "mem:names-nobody", syscall.ECONNREFUSED, "dial", tincan.KindConnect},
		{"streams meet messages", dial, "mem:names-messages", syscall.EPROTOTYPE, "dial", tincan.KindConnect},
		{"messages meet streams", dialMessage, "mem:names-streams", syscall.EPROTOTYPE, "dial", tincan.KindConnect},
		{"taken", listen, "mem:names-streams", tincan.ErrInUse, "listen", tincan.KindBind},
		{"taken by the other kind", listenMessage, "mem:names-streams", tincan.ErrInUse, "listen", tincan.KindBind},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(tt.url)
			var opErr *net.OpError
			if !errors.Is(err, tt.want) || !errors.As(err, &opErr) || opErr.Op != tt.op || tincan.KindOf(err) != tt.kind {
				t.Errorf("got %v (kind %v), want an OpError of %s: %v (kind %v)", err, tincan.KindOf(err), tt.op, tt.want, tt.kind)
			}
		})
	}
	if err := streams.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := tincan.ListenMessage(ctx, "mem:names-streams")
	if err != nil {
		t.Fatalf("a released name: %v", err)
	}
	defer again.Close()
	if err := messages.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := messages.Accept(ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}
}

// discard closes what was not to be opened, and gives err.
func discard[C io.Closer](c C, err error) error {
	if err == nil {
		_ = c.Close()
	}
	return err
}

func TestMemBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := tincan.Listen(t.Context(), "mem:backlog?backlog=2")
		if err != nil {
			t.Fatal(err)
		}
		var waiting [2]net.Conn
		for i := range waiting {
			if waiting[i], err = tincan.Dial(t.Context(), "mem:backlog"); err != nil {
				t.Fatal(err)
			}
			defer waiting[i].Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := tincan.Dial(ctx, "mem:backlog"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("a full backlog: %v after %v, want DeadlineExceeded after 1s", err, time.Since(start))
		}
		dialled := make(chan error)
		go func() { dialled <- discard(tincan.Dial(t.Context(), "mem:backlog")) }()
		synctest.Wait()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := <-dialled; err != nil {
			t.Errorf("once there was room: %v", err)
		}
		_ = c.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := waiting[1].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection left in the backlog: %v, want ECONNRESET", err)
		}
	})
}

func TestMemStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		do       func(peer net.Conn) error // what the peer does when 4 bytes are queued for it, and 4 by it
		read     string                    // what can still be read
		end      error
		writeErr error
	}{
		{name: "closes with unread data", do: net.Conn.Close, read: "left", end: syscall.ECONNRESET, writeErr: syscall.EPIPE},
		{name: "closes having read all", do: func(c net.Conn) error {
			if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
				return err
			}
			return c.Close()
		}, read: "left", end: io.EOF, writeErr: syscall.EPIPE},
		{name: "aborts", do: func(c net.Conn) error { return tincan.Abort(c) }, end: syscall.ECONNRESET, writeErr: syscall.ECONNRESET},
		{name: "closes its writing side", do: func(c net.Conn) error { return tincan.CloseWrite(c) }, read: "left", end: io.EOF},
		{name: "closes both sides", do: func(c net.Conn) error { return errors.Join(tincan.CloseRead(c), tincan.CloseWrite(c)) }, read: "left", end: io.EOF, writeErr: syscall.EPIPE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, peer := memStreams(t)
			if _, err := io.WriteString(c, "sent"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(peer, "left"); err != nil {
				t.Fatal(err)
			}
			if err := tt.do(peer); err != nil {
				t.Fatal(err)
			}
			var got []byte
			var err error
			for err == nil {
				var b [3]byte
				var n int
				n, err = c.Read(b[:])
				got = append(got, b[:n]...)
			}
			if string(got) != tt.read || !errors.Is(err, tt.end) {
				t.Errorf("read %q, then %v; want %q, then %v", got, err, tt.read, tt.end)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, tt.writeErr) {
				t.Errorf("write: %v, want %v", err, tt.writeErr)
			}
		})
	}
}

// Waiting ends at the exact time, and everything that blocks blocks durably:
// else the fake clock would not move.
func TestMemDeadlinesInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := memStreams(t)
		start := time.Now()
		if err := c.SetReadDeadline(start.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(start.Add(2 * time.Second)); err != nil { // moved, by the same timer
			t.Fatal(err)
		}
		if err := c.SetWriteDeadline(start.Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Read(make([]byte, 1))
			if got := time.Since(start); tincan.KindOf(err) != tincan.KindTimeout || got != 2*time.Second {
				t.Errorf("read: %v after %v, want a timeout after 2s", err, got)
			}
		})
		for range 2 { // the second waits for its turn
			wg.Go(func() {
				n, err := c.Write(make([]byte, 100<<10))
				if got := time.Since(start); tincan.KindOf(err) != tincan.KindTimeout || got != 3*time.Second || n != 64<<10 && n != 0 {
					t.Errorf("write: %d, %v after %v, want a timeout after 3s with 64 KiB or nothing written", n, err, got)
				}
			})
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := tincan.WaitReadable(ctx, c); tincan.KindOf(err) != tincan.KindTimeout || time.Since(start) != 2*time.Second {
				t.Errorf("WaitReadable: %v after %v, want the read deadline after 2s", err, time.Since(start))
			}
		})
		wg.Wait()
		if n, err := io.Copy(io.Discard, io.LimitReader(peer, 64<<10)); n != 64<<10 || err != nil {
			t.Errorf("the peer read %d bytes, %v", n, err)
		}
	})
}

// Many readers and writers on one end must all be woken.
func TestMemManyWaiters(t *testing.T) {
	c, peer := memStreams(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	counts := map[byte]int{}
	const block = 10_000
	for i := range 8 {
		wg.Go(func() { // each block arrives in one piece
			if _, err := c.Write(bytes.Repeat([]byte{byte(i)}, block)); err != nil {
				t.Error(err)
			}
		})
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			b := make([]byte, 100)
			for {
				n, err := peer.Read(b)
				mu.Lock()
				for _, x := range b[:n] {
					counts[x]++
				}
				mu.Unlock()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	for i := range 8 {
		if counts[byte(i)] != block {
			t.Errorf("%d bytes of writer %d, want %d", counts[byte(i)], i, block)
		}
	}
}

func TestMemWritesDontMix(t *testing.T) {
	c, peer := memStreams(t)
	const block = 100 << 10 // more than fits
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := c.Write(bytes.Repeat([]byte{byte('a' + i)}, block)); err != nil {
				t.Error(err)
			}
		})
	}
	b := make([]byte, block)
	for range 4 {
		if _, err := io.ReadFull(peer, b); err != nil {
			t.Fatal(err)
		}
		if bytes.Count(b, b[:1]) != block {
			t.Error("two writes mixed")
		}
	}
	wg.Wait()
}

func TestMemMessageBounds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options string
		size    int
		fit     int
	}{
		{"count", "", 1, 1000},
		{"empty ones count", "", 0, 1000},
		{"bytes", "?max-message=1KiB", 256, 4},
		{"one of the most", "?max-message=1KiB", 1024, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := memMessages(t, tt.options)
				msg := make([]byte, tt.size)
				sent := 0
				for ; ; sent++ {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					err := c.WriteMessage(ctx, msg)
					cancel()
					if errors.Is(err, context.DeadlineExceeded) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if sent != tt.fit {
					t.Errorf("%d messages of %d bytes fit, want %d", sent, tt.size, tt.fit)
				}
				// A read makes room for one more, and none is lost.
				blocked := make(chan error)
				go func() { blocked <- c.WriteMessage(t.Context(), msg) }()
				synctest.Wait()
				buf := make([]byte, tt.size)
				for range sent + 1 {
					if n, err := peer.ReadMessage(t.Context(), buf); n != tt.size || err != nil {
						t.Fatalf("read %d, %v", n, err)
					}
				}
				if err := <-blocked; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestMemMessageTooLong(t *testing.T) {
	c, peer := memMessages(t, "?max-message=10")
	if err := c.WriteMessage(t.Context(), make([]byte, 11)); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("got %v, want ErrMessageTooLong", err)
	}
	// The dialer takes its own default.
	if err := peer.WriteMessage(t.Context(), make([]byte, 11)); err != nil {
		t.Error(err)
	}
}

func TestMemNoAllocations(t *testing.T) {
	c, peer := memStreams(t)
	b := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, b); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("stream: %v allocations for a write, a read and a deadline", n)
	}
}

func TestMemMessageNoAllocations(t *testing.T) {
	c, peer := memMessages(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		if err := c.WriteMessage(ctx, b); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.ReadMessage(ctx, b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}

func BenchmarkMemRoundTrip(b *testing.B) {
	c, peer := memStreams(b)
	go func() { _, _ = io.Copy(peer, peer) }()
	msg := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(msg); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleListen_inProcess() {
	ctx := context.Background()
	l, err := tincan.Listen(ctx, "mem:greeter")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "hello")
	}()
	c, err := tincan.Dial(ctx, l.Addr().String())
	if err != nil {
		panic(err)
	}
	defer c.Close()
	greeting, err := io.ReadAll(c)
	fmt.Println(string(greeting), err)
	// Output: hello <nil>
}
