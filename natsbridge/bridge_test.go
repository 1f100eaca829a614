package natsbridge_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/pattern"
)

// during runs f until the test ends, or what is returned is called, and fails where f does.
func during(t *testing.T, f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// listen binds s to a free port, closes it with the test and gives its endpoint.
func listen(t *testing.T, s pattern.Socket) string {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	addr, err := s.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func dial(t *testing.T, s pattern.Socket, endpoint string) {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Dial(endpoint); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, wait func(context.Context, int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
}

// TestBridgePubSub: a publisher on one host, a subscriber on another, a bridge on each.
func TestBridgePubSub(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	there, here := &natsbridge.Bridge{}, &natsbridge.Bridge{}

	in := pattern.NewSub(there.SocketOptions(nil))
	at := listen(t, in)
	if err := in.Subscribe(""); err != nil {
		t.Fatal(err)
	}
	nc := cluster.Connect(t)
	during(t, func(ctx context.Context) error { return there.Publish(ctx, in, nc, "news") })
	out := pattern.NewPub(here.SocketOptions(nil))
	to := listen(t, out)
	ready := make(chan struct{})
	other := cluster.Connect(t)
	during(t, func(ctx context.Context) error {
		return here.Subscribe(ctx, other, "news", out, func() { close(ready) }, "a", "b.")
	})
	<-ready

	publisher, subscriber := pattern.NewPub(nil), pattern.NewSub(nil)
	dial(t, publisher, at)
	dial(t, subscriber, to)
	if err := subscriber.Subscribe(""); err != nil {
		t.Fatal(err)
	}
	await(t, out.WaitSubscribers)
	await(t, publisher.WaitSubscribers)
	for _, m := range [][]string{{"a", "1"}, {"x", "2"}, {"b.c", "3", "", "four"}, {"b", "5"}, {"a\x00 *", "6"}} {
		if err := publisher.Send(t.Context(), bytesOf(m)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]string{{"a", "1"}, {"b.c", "3", "", "four"}, {"a\x00 *", "6"}} {
		got, err := subscriber.Recv(t.Context())
		if diff := cmp.Diff(want, texts(got)); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	}
	// A program of NATS alone, with a header of its own.
	if err := nc.PublishMsg(&nats.Msg{Subject: "news.a.b", Data: []byte("x"), Header: nats.Header{"K": {"v"}}}); err != nil {
		t.Fatal(err)
	}
	got, err := subscriber.Recv(t.Context())
	if diff := cmp.Diff([]string{"a.b", "x", "NATS/1.0\r\nK: v\r\n\r\n"}, texts(got)); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
}

// TestBridgeLoop: two bridges whose sockets are joined make a circle, which a message goes round once.
func TestBridgeLoop(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	dropped := make(chan error, 100)
	tell := func(e natsbridge.Event) { dropped <- e.Err }
	in, out := &natsbridge.Bridge{OnEvent: tell}, &natsbridge.Bridge{OnEvent: tell}
	pub, sub := pattern.NewPub(out.SocketOptions(nil)), pattern.NewSub(in.SocketOptions(nil))
	at := listen(t, pub)
	dial(t, sub, at)
	if err := sub.Subscribe(""); err != nil {
		t.Fatal(err)
	}
	seen := subscribe(t, nc, "news")
	ready := make(chan struct{})
	during(t, func(ctx context.Context) error {
		return out.Subscribe(ctx, nc, "news", pub, func() { close(ready) })
	})
	during(t, func(ctx context.Context) error { return in.Publish(ctx, sub, nc, "news") })
	<-ready
	await(t, pub.WaitSubscribers)
	p := natsbridge.NewPublisher(nc, "news")
	for _, m := range [][]string{{"t", "plain"}, {"t", "of", "parts"}, {"t", "with headers", "NATS/1.0\r\nK: v\r\n\r\n"}} {
		if err := p.Publish(bytesOf(m)...); err != nil {
			t.Fatal(err)
		}
		for range 2 { // as it was published, and from the circle
			if diff := cmp.Diff(m, recv(t, seen)); diff != "" {
				t.Error(diff)
			}
		}
		if err := <-dropped; !errors.Is(err, natsbridge.ErrLoop) {
			t.Errorf("dropped for %v", err)
		}
	}
}

// TestBridgeRequests: who asks and who answers speak ZMTP, on two hosts.
func TestBridgeRequests(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	rep := pattern.NewRep(nil)
	at := listen(t, rep)
	during(t, func(ctx context.Context) error {
		for {
			r, err := rep.Recv(ctx)
			if err != nil {
				return nil
			}
			if err := r.Reply(append(r.Parts, []byte("answered"))...); err != nil {
				return err
			}
		}
	})
	there, here := &natsbridge.Bridge{Timeout: patience}, &natsbridge.Bridge{Timeout: patience}
	client := pattern.NewClient(there.SocketOptions(nil))
	dial(t, client, at)
	nc := cluster.Connect(t)
	ready := make(chan struct{})
	stop := during(t, func(ctx context.Context) error {
		return there.Answer(ctx, nc, "ask", client, &natsbridge.ServeOptions{Ready: func() { close(ready) }})
	})
	<-ready
	front := pattern.NewServer(here.SocketOptions(nil))
	to := listen(t, front)
	other := cluster.Connect(t)
	during(t, func(ctx context.Context) error { return here.Ask(ctx, front, other, "ask") })

	asker := pattern.NewClient(nil)
	dial(t, asker, to)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			want := []string{fmt.Sprint(i), "", "third", "answered"}
			got, err := asker.Request(t.Context(), bytesOf(want[:3])...)
			if diff := cmp.Diff(want, texts(got)); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
	all.Wait()
	reply, err := natsbridge.Request(t.Context(), nc, "ask", []byte("plain"), nil)
	if err != nil || string(reply) != "plainanswered" {
		t.Errorf("a program of NATS alone gets %q, %v", reply, err)
	}
	stop()
	if _, err := asker.Request(t.Context(), []byte("nobody")); !errors.Is(err, pattern.ErrPeerLost) {
		t.Errorf("where nobody serves the subject: %v", err)
	}
}

// TestBridgeQueue: from a Push over the queue to Pulls, in processes' stead; and what was not handed out is kept.
func TestBridgeQueue(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	stored := make(chan string, 1000)
	in := &natsbridge.Bridge{OnStored: func(parts [][]byte) { stored <- string(parts[0]) }}
	pull := pattern.NewPull(in.SocketOptions(nil))
	at := listen(t, pull)
	q := open(t, cluster.Connect(t), "jobs", nil)
	during(t, func(ctx context.Context) error { return in.Enqueue(ctx, pull, q, patience) })

	out := &natsbridge.Bridge{}
	push := pattern.NewPush(out.SocketOptions(nil))
	to := listen(t, push)
	other := open(t, cluster.Connect(t), "jobs", nil)
	during(t, func(ctx context.Context) error { return out.Dequeue(ctx, other, push, patience) })

	pusher := pattern.NewPush(&pattern.Options{Linger: patience})
	dial(t, pusher, at)
	const count = 500
	for i := range count {
		if err := pusher.Send(t.Context(), fmt.Append(nil, i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count { // stored in their order, with no worker there
		select {
		case got := <-stored:
			if got != fmt.Sprint(i) {
				t.Fatalf("stored %s, want %d", got, i)
			}
		case <-time.After(patience):
			t.Fatalf("only %d are stored", i)
		}
	}
	worker := pattern.NewPull(nil)
	dial(t, worker, to)
	for i := range count {
		got, err := worker.Recv(t.Context())
		if diff := cmp.Diff([]string{fmt.Sprint(i), "x"}, texts(got)); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	}
}
