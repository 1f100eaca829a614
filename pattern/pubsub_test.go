package pattern_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// follow gives a Sub with the topics that has dialled addr; it is closed when t ends.
func follow(t testing.TB, addr string, o *pattern.Options, topics ...string) *pattern.Sub {
	t.Helper()
	sub := pattern.NewSub(o)
	t.Cleanup(func() { _ = sub.Close() })
	for _, topic := range topics {
		if err := sub.Subscribe(topic); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Dial(addr); err != nil {
		t.Fatal(err)
	}
	return sub
}

// listen has s listen on an endpoint of its own, and closes it when t ends.
func listen(t testing.TB, scheme string, s socket) string {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	e := endpoint(t, scheme)
	if scheme == "mem" {
		e += fmt.Sprint(listened.Add(1)) // a test may listen more than once
	}
	addr, err := s.Listen(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

var listened atomic.Int64

type receiver interface {
	Recv(ctx context.Context) ([][]byte, error)
}

// want receives and compares the parts of the next message.
func want(t testing.TB, s receiver, parts ...string) {
	t.Helper()
	got, err := s.Recv(within(t))
	if err != nil {
		t.Fatalf("waiting for %q: %v", parts, err)
	}
	if !slices.EqualFunc(got, parts, func(g []byte, w string) bool { return string(g) == w }) {
		t.Fatalf("received %q, want %q", got, parts)
	}
}

func publish(t testing.TB, s interface {
	Send(ctx context.Context, parts ...[]byte) error
}, parts ...string,
) {
	t.Helper()
	var m [][]byte
	for _, p := range parts {
		m = append(m, []byte(p))
	}
	if err := s.Send(within(t), m...); err != nil {
		t.Fatalf("sending %q: %v", parts, err)
	}
}

func waitSubscribers(t testing.TB, s interface {
	WaitSubscribers(ctx context.Context, n int) error
}, n int,
) {
	t.Helper()
	if err := s.WaitSubscribers(within(t), n); err != nil {
		t.Fatal(err)
	}
}

func TestPubSub(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			pub := pattern.NewPub(nil)
			addr := listen(t, scheme, pub)
			publish(t, pub, "nobody", "is there")
			a := follow(t, addr, nil, "a")
			ab := follow(t, addr, nil, "ab", "b")
			all := follow(t, addr, nil, "", "a") // matches twice, and gets one
			waitSubscribers(t, pub, 5)
			for _, topic := range []string{"a", "ab", "b", "", "c"} {
				publish(t, pub, topic, "", "body")
			}
			for _, topic := range []string{"a", "ab"} {
				want(t, a, topic, "", "body")
			}
			for _, topic := range []string{"ab", "b"} {
				want(t, ab, topic, "", "body")
			}
			for _, topic := range []string{"a", "ab", "b", "", "c"} {
				want(t, all, topic, "", "body")
			}
			if got := pub.Stats(); got.Sent != 9 || got.Dropped != 0 {
				t.Errorf("sent %d, dropped %d, want 9 and 0", got.Sent, got.Dropped)
			}
		})
	}
}

func TestUnsubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := pattern.NewXPub(nil)
		sub := follow(t, listen(t, "mem", pub), nil, "a", "a")
		want(t, pub, "\x01a")
		if err := sub.Subscribe("b"); err != nil {
			t.Fatal(err)
		}
		want(t, pub, "\x01b")
		if err := sub.Unsubscribe("a"); err != nil {
			t.Fatal(err)
		}
		publish(t, pub, "a", "subscribed once still")
		publish(t, pub, "b", "behind it")
		want(t, sub, "a", "subscribed once still")
		if err := sub.WaitPeers(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		publish(t, pub, "a", "has come when it isn't wanted any more")
		publish(t, pub, "b", "is wanted")
		want(t, sub, "b", "behind it")
		synctest.Wait() // both have come
		if err := sub.Unsubscribe("a"); err != nil {
			t.Fatal(err)
		}
		want(t, sub, "b", "is wanted")
		if err := sub.Unsubscribe("a"); !errors.Is(err, pattern.ErrNotSubscribed) {
			t.Errorf("a third Unsubscribe: %v, want ErrNotSubscribed", err)
		}
		want(t, pub, "\x00a")
		publish(t, pub, "a", "nobody's")
		if got := pub.Stats().Sent; got != 4 {
			t.Errorf("the publisher sent %d messages, want 4", got)
		}
	})
}

// TestLateSubscriber gets what is published after its subscription came in, and nothing from before.
func TestLateSubscriber(t *testing.T) {
	pub := pattern.NewPub(nil)
	addr := listen(t, "mem", pub)
	early := follow(t, addr, nil, "")
	waitSubscribers(t, pub, 1)
	publish(t, pub, "1")
	late := follow(t, addr, nil, "")
	waitSubscribers(t, pub, 2)
	publish(t, pub, "2")
	want(t, early, "1")
	want(t, early, "2")
	want(t, late, "2")
}

// TestResubscribe restarts the publisher: the subscriber comes back with all it had subscribed to.
func TestResubscribe(t *testing.T) {
	addr := "unix:" + filepath.Join(t.TempDir(), "s")
	sub := follow(t, addr, &pattern.Options{Backoff: tincan.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
	for i := range 3 {
		pub := pattern.NewPub(&pattern.Options{Linger: time.Minute})
		if _, err := pub.Listen(t.Context(), addr); err != nil {
			t.Fatal(err)
		}
		if err := sub.Subscribe(fmt.Sprint("topic", i)); err != nil {
			t.Fatal(err)
		}
		waitSubscribers(t, pub, i+1)
		for k := range i + 1 {
			publish(t, pub, fmt.Sprint("topic", k))
			want(t, sub, fmt.Sprint("topic", k))
		}
		if err := pub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSlowSubscriber has one that doesn't read: what it misses is counted and told once, what waits for it is bounded, and
// another misses nothing.
func TestSlowSubscriber(t *testing.T) {
	var events atomic.Int32
	pub := pattern.NewPub(&pattern.Options{
		SendBytes: 1 << 20,
		OnEvent: func(e pattern.Event) {
			if e.Kind == pattern.EventDropped && errors.Is(e.Err, pattern.ErrQueueFull) {
				events.Add(1)
			}
		},
	})
	addr := listen(t, "unix", pub)
	slow := follow(t, addr, &pattern.Options{RecvHighWater: 10}, "")
	waitSubscribers(t, pub, 1)
	good := follow(t, addr, nil, "")
	waitSubscribers(t, pub, 2)

	const n = 5000
	body := make([]byte, 10_000)
	for i := range n {
		publish(t, pub, fmt.Sprint(i), string(body))
		got, err := good.Recv(within(t)) // as fast as it is published
		if err != nil || string(got[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q, %v", i, got[0], err)
		}
		if i%50 != 0 {
			continue
		}
		for _, p := range pub.Peers() {
			if p.Queued > 1000 || p.QueuedBytes > 1<<20 {
				t.Fatalf("%d messages, %d bytes queued", p.Queued, p.QueuedBytes)
			}
		}
	}
	st := pub.Stats()
	if st.Dropped == 0 || st.Sent+st.Dropped != 2*n {
		t.Errorf("sent %d, dropped %d, want %d together", st.Sent, st.Dropped, 2*n)
	}
	if events.Load() != 1 {
		t.Errorf("%d events of a run of drops, want 1", events.Load())
	}
	missed := st.Dropped
	for received := uint64(0); received < n-missed; received++ {
		if _, err := slow.Recv(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, pub, "caught up")
	want(t, slow, "caught up")
}

// TestNoDrop has a publisher that waits for its slowest subscriber: nobody misses anything.
func TestNoDrop(t *testing.T) {
	pub := pattern.NewPub(&pattern.Options{NoDrop: true, SendHighWater: 7})
	addr := listen(t, "tcp", pub)
	const subscribers, publishers, each = 5, 3, 5000
	var done sync.WaitGroup
	for range subscribers {
		sub := follow(t, addr, &pattern.Options{RecvHighWater: 5}, "")
		done.Go(func() {
			var next [publishers]int
			for range publishers * each {
				m, err := sub.Borrow(within(t))
				if err != nil {
					t.Error(err)
					return
				}
				var who, i int
				if _, err := fmt.Sscan(string(m.Parts[0]), &who, &i); err != nil || next[who] != i {
					t.Errorf("received %q, want %d of %d: %v", m.Parts[0], next[who], who, err)
				}
				next[who]++
				m.Release()
			}
		})
	}
	waitSubscribers(t, pub, subscribers)
	for who := range publishers {
		done.Go(func() {
			for i := range each {
				publish(t, pub, fmt.Sprint(who, " ", i))
			}
		})
	}
	done.Wait()
	if got := pub.Stats().Dropped; got != 0 {
		t.Errorf("%d dropped", got)
	}
}

// TestNoDropEnds shows that the wait for a subscriber that doesn't read ends with ctx, with the subscriber and with Close.
func TestNoDropEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := pattern.NewPub(&pattern.Options{NoDrop: true})
		addr := listen(t, "mem", pub)
		stuck := follow(t, addr, &pattern.Options{RecvHighWater: 1}, "")
		waitSubscribers(t, pub, 1)
		body := make([]byte, 100_000)
		fill := func(ctx context.Context) error {
			for {
				if err := pub.Send(ctx, body); err != nil {
					return err
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := fill(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ctx ended: %v", err)
		}
		sent := make(chan error)
		go func() { sent <- pub.Send(t.Context(), body) }()
		if err := stuck.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Errorf("the subscriber went: %v", err)
		}
		follow(t, addr, &pattern.Options{RecvHighWater: 1}, "")
		waitSubscribers(t, pub, 1)
		go func() { sent <- fill(context.Background()) }()
		synctest.Wait() // until there is no room
		_ = pub.Close()
		if err := <-sent; !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}
