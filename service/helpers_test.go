package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/service"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience is how long a test waits for what should come at once.
const patience = time.Minute

// lookup gives a ready service.
func lookup(t testing.TB, name string) service.Service {
	t.Helper()
	s, ok := service.Lookup(name)
	if !ok {
		t.Fatalf("no service %q", name)
	}
	return s
}

// serve runs a service on a free endpoint until the test ends, and gives its URL.
// The function it gives ends it sooner and waits for that.
func serve(t testing.TB, s *service.Server, endpoint string, h service.StreamHandler) (url string, end func()) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), running(t, func(ctx context.Context) error { return s.Serve(ctx, l, h) })
}

// serveMessages is serve for messages.
func serveMessages(t testing.TB, s *service.Server, endpoint string, h service.MessageHandler) (url string, end func()) {
	t.Helper()
	l, err := tincan.ListenMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), running(t, func(ctx context.Context) error { return s.ServeMessages(ctx, l, h) })
}

// running runs f until end is called, or the test ends.
func running(t testing.TB, f func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	t.Cleanup(end)
	return end
}

// dial connects a client that is closed when the test ends.
func dial(t testing.TB, url string) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// dialMessage is dial for messages.
func dialMessage(t testing.TB, url string) tincan.MessageConn {
	t.Helper()
	c, err := tincan.DialMessage(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends one message and gives the answer.
func ask(t testing.TB, c tincan.MessageConn, request string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.WriteMessage(ctx, []byte(request)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	n, err := c.ReadMessage(ctx, buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// silent reports whether no message comes for a moment.
func silent(t testing.TB, c tincan.MessageConn) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.ReadMessage(ctx, make([]byte, 1<<16))
	return errors.Is(err, context.DeadlineExceeded)
}

// exchange sends all of request, half-closes, and gives all that comes back.
func exchange(t testing.TB, c net.Conn, request string) string {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, request)
		written <- errors.Join(err, tincan.CloseWrite(c))
	}()
	reply, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

// closings gathers what a server's trace tells of connections that ended.
type closings struct {
	mu   sync.Mutex
	all  []closing
	news chan struct{}
}

type closing struct {
	received, sent int64
	err            error
}

func traced() (*tincan.Trace, *closings) {
	c := &closings{news: make(chan struct{}, 1000)}
	return &tincan.Trace{Closed: func(_ tincan.Conn, received, sent int64, err error) {
		c.mu.Lock()
		c.all = append(c.all, closing{received, sent, err})
		c.mu.Unlock()
		c.news <- struct{}{}
	}}, c
}

// next waits for a connection to end.
func (c *closings) next(t testing.TB) closing {
	t.Helper()
	select {
	case <-c.news:
	case <-time.After(patience):
		t.Fatal("no connection ended")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.all[0]
	c.all = c.all[1:]
	return first
}
