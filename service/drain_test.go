package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// bubble runs a server on mem:drain in bubbled time. use may take its time;
// what it returns is how long after the drain began the server was to return.
func bubble(t *testing.T, s *service.Server, h service.StreamHandler, use func(t *testing.T, beginDrain func()) (want time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, err := tincan.Listen(t.Context(), "mem:drain")
		if err != nil {
			t.Fatal(err)
		}
		checkDrain(t, func(ctx context.Context) error { return s.Serve(ctx, l, h) }, use)
	})
}

// bubbleMessages is bubble for messages.
func bubbleMessages(t *testing.T, s *service.Server, h service.MessageHandler, use func(t *testing.T, beginDrain func()) (want time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, err := tincan.ListenMessage(t.Context(), "mem:drain")
		if err != nil {
			t.Fatal(err)
		}
		checkDrain(t, func(ctx context.Context) error { return s.ServeMessages(ctx, l, h) }, use)
	})
}

func checkDrain(t *testing.T, serve func(context.Context) error, use func(t *testing.T, beginDrain func()) (want time.Duration)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var began, returned time.Time
	done := make(chan error, 1)
	go func() {
		err := serve(ctx)
		returned = time.Now()
		done <- err
	}()
	want := use(t, func() {
		synctest.Wait() // connections that were dialled are in their handlers
		began = time.Now()
		cancel()
		synctest.Wait()
	})
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := returned.Sub(began); took != want {
		t.Errorf("the drain took %v, want %v", took, want)
	}
}

func bubbleDial(t *testing.T) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), "mem:drain")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDrainFinishesQuietPeers(t *testing.T) {
	for _, name := range []string{"echo", "increment", "discard"} {
		bubble(t, nil, lookup(t, name).Stream, func(t *testing.T, beginDrain func()) time.Duration {
			c := bubbleDial(t)
			if _, err := io.WriteString(c, "x"); err != nil {
				t.Fatal(err)
			}
			if name != "discard" {
				if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			beginDrain()
			if _, err := tincan.Dial(t.Context(), "mem:drain"); tincan.KindOf(err) != tincan.KindConnect {
				t.Errorf("%s: a newcomer gets %v, want to be refused", name, err)
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: a quiet client reads %v, want an orderly end", name, err)
			}
			return 200 * time.Millisecond
		})
	}
}

func TestDrainLetsTrafficGoOn(t *testing.T) {
	bubble(t, nil, lookup(t, "echo").Stream, func(t *testing.T, beginDrain func()) time.Duration {
		c := bubbleDial(t)
		b := make([]byte, 1)
		beginDrain()
		for i := range 20 {
			time.Sleep(150 * time.Millisecond)
			b[0] = byte(i)
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, b); err != nil || b[0] != byte(i) {
				t.Fatalf("byte %d: %v, %v", i, b, err)
			}
		}
		if err := tincan.CloseWrite(c); err != nil {
			t.Fatal(err)
		}
		return 20 * 150 * time.Millisecond
	})
}

func TestDrainAbortsWhatIsLeft(t *testing.T) {
	for _, tt := range []struct {
		drain, want time.Duration
	}{{0, service.DefaultDrain}, {time.Second, time.Second}, {-1, 0}} {
		trace, ends := traced()
		s := &service.Server{Drain: tt.drain, Trace: trace}
		ctxEnded := make(chan error, 1)
		bubble(t, s, func(ctx context.Context, conn net.Conn) error {
			select {
			case <-service.Draining(ctx):
				t.Error("it drains before its time")
			default:
			}
			_, err := conn.Read(make([]byte, 1))
			select {
			case <-service.Draining(ctx):
			default:
				t.Error("it doesn't drain")
			}
			ctxEnded <- ctx.Err()
			return err
		}, func(t *testing.T, beginDrain func()) time.Duration {
			c := bubbleDial(t)
			beginDrain()
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client reads %v, want a reset", err)
			}
			return tt.want
		})
		if err := <-ctxEnded; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's ctx: %v", err)
		}
		if end := ends.next(t); !errors.Is(end.err, service.ErrDrainOver) {
			t.Errorf("traced %+v", end)
		}
	}
}

func TestDrainEndsChargen(t *testing.T) {
	bubble(t, nil, lookup(t, "chargen").Stream, func(t *testing.T, beginDrain func()) time.Duration {
		bubbleDial(t)
		beginDrain()
		return 0
	})
}

func TestDrainHello(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name, before, during string
		want                 time.Duration
	}{
		{"kept alive", get, "", 0},
		{"unused", "", "", 200 * time.Millisecond},
		{"half a request", get[:20], get[20:], 100 * time.Millisecond},
	} {
		bubble(t, nil, lookup(t, "hello").Stream, func(t *testing.T, beginDrain func()) time.Duration {
			c := bubbleDial(t)
			if _, err := io.WriteString(c, tt.before); err != nil {
				t.Fatal(err)
			}
			beginDrain()
			if tt.during != "" {
				time.Sleep(100 * time.Millisecond)
				if _, err := io.WriteString(c, tt.during); err != nil {
					t.Fatal(err)
				}
			}
			page, err := io.ReadAll(c)
			if got := strings.Contains(string(page), "You Connected to the Server!"); err != nil || got != (tt.name != "unused") {
				t.Errorf("%s: the client gets %q, %v", tt.name, page, err)
			}
			return tt.want
		})
	}
}

func TestDrainFinishesRequests(t *testing.T) {
	const work = 3 * time.Second
	slow := func(ctx context.Context, request []byte) ([]byte, error) {
		select {
		case <-time.After(work):
			return append([]byte("re: "), request...), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	bubbleMessages(t, nil, slow, func(t *testing.T, beginDrain func()) time.Duration {
		c, err := tincan.DialMessage(t.Context(), "mem:drain")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.WriteMessage(t.Context(), []byte("question")); err != nil {
			t.Fatal(err)
		}
		beginDrain()
		buf := make([]byte, 100)
		if n, err := c.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != "re: question" {
			t.Errorf("got %q, %v", buf[:n], err)
		}
		if _, err := c.ReadMessage(t.Context(), buf); err != io.EOF {
			t.Errorf("then %v, want an orderly end", err)
		}
		return work + 200*time.Millisecond
	})
	// The drain doesn't wait for one that takes too long.
	bubbleMessages(t, &service.Server{Drain: time.Second}, slow, func(t *testing.T, beginDrain func()) time.Duration {
		c, err := tincan.DialMessage(t.Context(), "mem:drain")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.WriteMessage(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		beginDrain()
		if _, err := c.ReadMessage(t.Context(), nil); tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("the client reads %v, want a reset", err)
		}
		return time.Second
	})
}

func TestTimeoutsAreExact(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server service.Server
		talk   time.Duration // how long the client talks, every 2 s
		want   time.Duration // when its connection ends
	}{
		{"idle from the start", service.Server{IdleTimeout: 10 * time.Second}, 0, 10 * time.Second},
		{"idle later", service.Server{IdleTimeout: 10 * time.Second}, 14 * time.Second, 24 * time.Second},
		{"total", service.Server{Timeout: 7 * time.Second}, time.Minute, 7 * time.Second},
		{"both", service.Server{Timeout: 30 * time.Second, IdleTimeout: 3 * time.Second}, 4 * time.Second, 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, &tt.server, lookup(t, "echo").Stream, func(t *testing.T, beginDrain func()) time.Duration {
				start := time.Now()
				c := bubbleDial(t)
				ended := make(chan time.Duration, 1)
				go func() {
					_, _ = io.Copy(io.Discard, c)
					ended <- time.Since(start)
				}()
				for time.Since(start) < tt.talk {
					time.Sleep(2 * time.Second)
					if _, err := io.WriteString(c, "x"); err != nil {
						break
					}
				}
				if got := <-ended; got != tt.want {
					t.Errorf("ended after %v, want %v", got, tt.want)
				}
				beginDrain()
				return 0
			})
		})
	}
}
