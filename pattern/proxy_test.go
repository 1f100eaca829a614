package pattern_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

// proxied runs a proxy until t ends, or stop is called, which waits for its end.
func proxied(t testing.TB, front, back pattern.Socket, capture pattern.Sender) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- pattern.Proxy(ctx, front, back, capture) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the proxy ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// dialled has s dial addr, and closes it when t ends.
func dialled[S socket](t testing.TB, s S, addr string) S {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Dial(addr); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestProxyForwarder has subscriptions pass upstream, counted, and what is published downstream.
func TestProxyForwarder(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			pub := pattern.NewXPub(nil)
			front, back := pattern.NewXSub(nil), pattern.NewXPub(nil)
			front = dialled(t, front, listen(t, scheme, pub))
			addr := listen(t, scheme, back)
			capture, captured := pattern.NewPush(nil), pattern.NewPull(nil)
			join(t, "mem", captured, capture)
			proxied(t, front, back, capture)

			a := follow(t, addr, nil, "a")
			want(t, pub, "\x01a")
			want(t, captured, "\x01a")
			both := follow(t, addr, nil, "a", "b")
			want(t, pub, "\x01b") // the second a isn't news upstream
			want(t, captured, "\x01b")
			publish(t, pub, "a", "", "x")
			want(t, a, "a", "", "x")
			want(t, both, "a", "", "x")
			want(t, captured, "a", "", "x")
			if err := a.Unsubscribe("a"); err != nil {
				t.Fatal(err)
			}
			_ = both.Close() // cancels b, and a for good
			got := map[string]bool{}
			for range 2 {
				parts, err := pub.Recv(within(t))
				if err != nil {
					t.Fatal(err)
				}
				got[string(parts[0])] = true
			}
			if !got["\x00a"] || !got["\x00b"] {
				t.Errorf("received %v, want the end of a and of b", got)
			}
		})
	}
}

// TestProxyUpstream passes an XSub's messages on to the publishers.
func TestProxyUpstream(t *testing.T) {
	pub := pattern.NewXPub(nil)
	front, back := pattern.NewXSub(nil), pattern.NewXPub(nil)
	front = dialled(t, front, listen(t, "unix", pub))
	if err := front.WaitPeers(within(t), 1); err != nil {
		t.Fatal(err)
	}
	sub := dialled(t, pattern.NewXSub(nil), listen(t, "tcp", back))
	proxied(t, front, back, nil)
	if err := sub.WaitPeers(within(t), 1); err != nil {
		t.Fatal(err)
	}
	publish(t, sub, "\x02up", "", "stream")
	want(t, pub, "\x02up", "", "stream")
}

func TestProxyQueue(t *testing.T) {
	front, back := pattern.NewRouter(nil), pattern.NewDealer(nil)
	in, out := listen(t, "unix", front), listen(t, "tcp", back)
	proxied(t, front, back, nil)
	const workers, clients, requests = 3, 4, 200
	for range workers {
		serve(t, dialled(t, pattern.NewRep(nil), out), echo)
	}
	var done sync.WaitGroup
	for c := range clients {
		req := dialled(t, pattern.NewReq(nil), in)
		done.Go(func() {
			for i := range requests {
				body := fmt.Appendf(nil, "%d %d", c, i)
				reply, err := req.Request(within(t), body)
				if err != nil || len(reply) != 1 || !bytes.Equal(reply[0], body) {
					t.Errorf("%q was answered with %q, %v", body, reply, err)
					return
				}
			}
		})
	}
	done.Wait()
}

// TestProxyStreamer ends a proxy midway, and starts it again: every message arrives once, in order.
func TestProxyStreamer(t *testing.T) {
	front, back := pattern.NewPull(nil), pattern.NewPush(nil)
	in, out := listen(t, "unix", front), listen(t, "unix", back)
	push, pull := dialled(t, pattern.NewPush(nil), in), dialled(t, pattern.NewPull(nil), out)
	const n = 50_000
	go func() {
		for i := range n {
			if err := push.Send(t.Context(), nil, fmt.Append(nil, i), nil); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	stop := proxied(t, front, back, nil)
	for i := range n {
		if i%5000 == 4999 {
			stop()
			stop = proxied(t, front, back, nil)
		}
		want(t, pull, "", fmt.Sprint(i), "")
	}
}

// TestProxyEnd has a proxy end while its back is slow: what the front had received gets there, with
// linger, and can else be received from the front.
func TestProxyEnd(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Minute} {
		t.Run(linger.String(), func(t *testing.T) {
			var events log
			front := pattern.NewPull(&pattern.Options{OnEvent: events.add})
			back := pattern.NewPush(&pattern.Options{SendHighWater: 1, Linger: linger})
			in, out := listen(t, "mem", front), listen(t, "mem", back)
			push := dialled(t, pattern.NewPush(&pattern.Options{Linger: time.Minute}), in)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- pattern.Proxy(ctx, front, back, nil) }()
			const n = 500
			for i := range n {
				publish(t, push, fmt.Sprint(i))
			}
			if err := push.Close(); err != nil { // all is with front now
				t.Fatal(err)
			}
			events.await(t, pattern.EventDisconnected, 1)
			cancel()
			if linger == 0 {
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("ended with %v", err)
				}
				for i := range n {
					want(t, front, fmt.Sprint(i))
				}
				return
			}
			pull := dialled(t, pattern.NewPull(nil), out)
			for i := range n {
				want(t, pull, fmt.Sprint(i))
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestProxyMisuse(t *testing.T) {
	pub, req := pattern.NewPub(nil), pattern.NewReq(nil)
	defer pub.Close()
	defer req.Close()
	if err := pattern.Proxy(t.Context(), pub, req, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a proxy between what can't receive: %v", err)
	}
}

// TestProxyClosed ends with a socket.
func TestProxyClosed(t *testing.T) {
	front, back := pattern.NewRouter(nil), pattern.NewDealer(nil)
	defer back.Close()
	ended := make(chan error)
	go func() { ended <- pattern.Proxy(t.Context(), front, back, nil) }()
	if err := front.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the proxy ended without an error")
	}
}
