package pattern_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

// A socket is what all types have in common.
type socket interface {
	Listen(ctx context.Context, endpoint string) (net.Addr, error)
	Dial(endpoint string) error
	WaitPeers(ctx context.Context, n int) error
	Close() error
}

// schemes are the transports that tests run over.
var schemes = []string{"mem", "unix", "tcp"}

// endpoint gives one of scheme for t alone.
func endpoint(t testing.TB, scheme string) string {
	switch scheme {
	case "mem":
		return "mem:" + t.Name()
	case "unix":
		return "unix:" + filepath.Join(t.TempDir(), "s")
	}
	return "tcp://127.0.0.1:0"
}

// join listens with a and dials with b, until they are each other's peers. Both are closed when t ends.
func join(t testing.TB, scheme string, a, b socket) {
	t.Helper()
	t.Cleanup(func() {
		_ = b.Close()
		_ = a.Close()
	})
	addr, err := a.Listen(t.Context(), endpoint(t, scheme))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Dial(addr.String()); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	for _, s := range []socket{a, b} {
		if err := s.WaitPeers(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// within gives a context that ends when a test has surely failed.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestPushPull(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			push, pull := pattern.NewPush(nil), pattern.NewPull(nil)
			join(t, scheme, pull, push)
			ctx := within(t)
			const n = 10_000
			go func() {
				for i := range n {
					if err := push.Send(ctx, fmt.Appendf(nil, "%d", i), make([]byte, i)); err != nil {
						t.Error(err)
					}
				}
			}()
			for i := range n {
				parts, err := pull.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if len(parts) != 2 || string(parts[0]) != fmt.Sprint(i) || len(parts[1]) != i {
					t.Fatalf("message %d: got %d parts, %.20q", i, len(parts), parts[0])
				}
			}
		})
	}
}

// A short message costs no allocation, neither for the slice of its parts nor on its way.
func TestShortMessageAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	push, pull := pattern.NewPush(nil), pattern.NewPull(nil)
	join(t, "unix", pull, push)
	ctx := within(t)
	payload := make([]byte, 64)
	pass := func(n int) {
		sent := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				err = push.Send(ctx, payload)
			}
			sent <- err
		}()
		for range n {
			m, err := pull.Borrow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			m.Release()
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	pass(10_000) // which makes what is kept
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 100_000
	pass(n)
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / n; each > 0.2 {
		t.Errorf("%.2f allocations for each message", each)
	}
}
