package natsbridge_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
)

func open(t *testing.T, nc *nats.Conn, subject string, o *natsbridge.QueueOptions) *natsbridge.Queue {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := natsbridge.OpenQueue(ctx, nc, subject, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// work runs handlers until the test, or what is returned, ends them.
func work(t *testing.T, q *natsbridge.Queue, handlers int, handle func(ctx context.Context, parts [][]byte) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Work(ctx, handlers, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Work: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestQueue(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	nc := cluster.Connect(t)
	q := open(t, nc, "jobs", nil)
	same := open(t, cluster.Connect(t), "jobs", nil)
	want := map[string]bool{}
	for i := range 100 {
		want[fmt.Sprint(i)] = true
		if err := q.Put(t.Context(), fmt.Append(nil, i), []byte("second")); err != nil {
			t.Fatal(err)
		}
	}
	did := make(chan []string, 200)
	handle := func(_ context.Context, parts [][]byte) error { did <- texts(parts); return nil }
	stops := []func(){work(t, q, 4, handle), work(t, same, 1, handle)}
	for range 100 {
		parts := <-did
		if len(parts) != 2 || parts[1] != "second" || !want[parts[0]] {
			t.Fatalf("%q came, once too often or not as it was put", parts)
		}
		delete(want, parts[0])
	}
	for _, stop := range stops {
		stop()
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the stream is empty", func() bool {
		s, err := js.Stream(t.Context(), "TINCAN_jobs")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	if err := q.Put(t.Context(), make([]byte, 2<<20)); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("2 MiB: %v", err)
	}
}

// TestQueueRedelivery: what fails comes again, what fails too often or can't be read is a dead letter.
func TestQueueRedelivery(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	dead := make(chan *nats.Msg, 10)
	if _, err := nc.ChanSubscribe("jobs.dead", dead); err != nil {
		t.Fatal(err)
	}
	q := open(t, nc, "jobs", &natsbridge.QueueOptions{MaxDeliver: 3, Backoff: tincan.Backoff{Min: time.Millisecond, Max: time.Millisecond}})
	for _, m := range []string{"good", "bad", "panics"} {
		if err := q.Put(t.Context(), []byte(m), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.PublishMsg(&nats.Msg{Subject: "jobs", Data: []byte("framing"), Header: nats.Header{"Tincan-Parts": {"1"}}}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	stop := work(t, q, 2, func(_ context.Context, parts [][]byte) error {
		mu.Lock()
		defer mu.Unlock()
		seen[string(parts[0])]++
		switch string(parts[0]) {
		case "bad":
			return errors.New("not today")
		case "panics":
			panic("not ever")
		}
		return nil
	})
	reasons := map[string]string{}
	for range 3 {
		select {
		case m := <-dead:
			reasons[string(m.Data)] = m.Header.Get("Tincan-Reason")
		case <-time.After(patience):
			t.Fatalf("the dead letters are %v", reasons)
		}
	}
	stop()
	if diff := cmp.Diff(map[string]int{"good": 1, "bad": 3, "panics": 3}, seen); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"bad": "delivered 3 times", "panics": "delivered 3 times", "framing": natsbridge.ErrFraming.Error()}, reasons); diff != "" {
		t.Error(diff)
	}
}

// TestQueueHolds: a handler that takes longer than AckWait keeps its message.
func TestQueueHolds(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	q := open(t, nc, "jobs", &natsbridge.QueueOptions{AckWait: 3 * time.Second})
	if err := q.Put(t.Context(), []byte("long")); err != nil {
		t.Fatal(err)
	}
	began, ends := make(chan struct{}, 10), make(chan struct{})
	stop := work(t, q, 2, func(context.Context, [][]byte) error {
		began <- struct{}{}
		<-ends
		return nil
	})
	<-began
	select {
	case <-began:
		t.Error("it was delivered again")
	case <-time.After(4500 * time.Millisecond): // half as long again as AckWait, in which it must not happen
	}
	close(ends)
	stop()
}

// TestQueueFull: Put waits while there is no room.
func TestQueueFull(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	retried := make(chan natsbridge.Event, 1000)
	q := open(t, nc, "jobs", &natsbridge.QueueOptions{MaxBytes: 4 << 10, OnEvent: func(e natsbridge.Event) { retried <- e }})
	full := make(chan error, 1)
	go func() {
		for range 8 {
			if err := q.Put(t.Context(), make([]byte, 1<<10)); err != nil {
				full <- err
				return
			}
		}
		full <- nil
	}()
	if e := <-retried; e.Kind != natsbridge.EventRetrying || e.Err == nil {
		t.Errorf("the event is %+v", e)
	}
	work(t, q, 1, func(context.Context, [][]byte) error { return nil })
	if err := <-full; err != nil {
		t.Error(err)
	}
}

// TestQueueGone: what is put isn't kept by a stream of another program that has taken the subject.
func TestQueueGone(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	q := open(t, nc, "jobs", nil)
	if err := js.DeleteStream(t.Context(), "TINCAN_jobs"); err != nil {
		t.Fatal(err)
	}
	other, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"jobs"}})
	if err != nil {
		t.Fatal(err)
	}
	var refused *jetstream.APIError
	if err := q.Put(t.Context(), []byte("job")); !errors.As(err, &refused) || refused.Code != 400 {
		t.Errorf("the error is %v, want the server's refusal", err)
	}
	if info, err := other.Info(t.Context()); err != nil || info.State.Msgs != 0 {
		t.Errorf("the other stream has %+v, %v", info, err)
	}
}

func TestOpenQueueFaults(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := natsbridge.OpenQueue(t.Context(), nc, "log", &natsbridge.QueueOptions{Stream: "LOG"}); !errors.Is(err, natsbridge.ErrNotQueue) {
		t.Errorf("a stream that keeps everything: %v", err)
	}
	without := natstest.Start(t, 1, "accounts { A { users: [ { user: a, password: b } ] } }\nno_auth_user: a\n").Connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := natsbridge.OpenQueue(ctx, without, "jobs", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an account without JetStream: %v", err)
	}
}
