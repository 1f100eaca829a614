package natsbridge_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
)

func subscribe(t *testing.T, nc *nats.Conn, base string, prefixes ...string) *natsbridge.Subscriber {
	t.Helper()
	s, err := natsbridge.NewSubscriber(t.Context(), nc, base, prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func recv(t *testing.T, s *natsbridge.Subscriber) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	parts, err := s.Recv(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return texts(parts)
}

func texts(parts [][]byte) []string {
	var all []string
	for _, p := range parts {
		all = append(all, string(p))
	}
	return all
}

func bytesOf(texts []string) [][]byte {
	var all [][]byte
	for _, s := range texts {
		all = append(all, []byte(s))
	}
	return all
}

func TestPublish(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	nc := cluster.Connect(t)
	all := subscribe(t, nc, "base")
	some := subscribe(t, nc, "base", "weather.p", "a.", "a.b", "a.b.c")
	p := natsbridge.NewPublisher(cluster.Connect(t), "base")
	messages := [][]string{
		{"weather.paris", "rain"},
		{"weather.rome", "sun"},
		{"", "no topic"},
		{"a.b.c", "once"},
		{"a.\x00 *>", "1", "", "3"},
		{"a.alone"},
		{"x", ""},
		{"weather.p", "end"},
	}
	for _, m := range messages {
		if err := p.Publish(bytesOf(m)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range messages {
		if diff := cmp.Diff(want, recv(t, all)); diff != "" {
			t.Error(diff)
		}
	}
	for _, i := range []int{0, 3, 4, 5, 7} {
		if diff := cmp.Diff(messages[i], recv(t, some)); diff != "" {
			t.Error(diff)
		}
	}
	if err := p.Publish([]byte("t"), make([]byte, 2<<20)); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("2 MiB: %v", err)
	}
	if err := p.Publish(make([]byte, 2000), nil); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("a topic of 6,000 bytes as a subject: %v", err)
	}

	// A program of NATS alone: its headers are a part, and a fault in ours is told once.
	m := &nats.Msg{Subject: "base.foreign", Data: []byte("body"), Header: nats.Header{"Trace": {"7"}}}
	bad := &nats.Msg{Subject: "base.bad", Data: []byte("body"), Header: nats.Header{"Tincan-Parts": {"1,1"}}}
	for _, m := range []*nats.Msg{m, bad, {Subject: "base.%zz"}, {Subject: "base.good"}} {
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"foreign", "body", "NATS/1.0\r\nTrace: 7\r\n\r\n"}, recv(t, all)); diff != "" {
		t.Error(diff)
	}
	if _, err := all.Recv(t.Context()); !errors.Is(err, natsbridge.ErrFraming) {
		t.Errorf("a message of wrong parts: %v", err)
	}
	if diff := cmp.Diff([]string{"good", ""}, recv(t, all)); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.Recv(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx ended: %v", err)
	}
	if err := all.Close(); err != nil {
		t.Error(err)
	}
	if _, err := all.Recv(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestPublishTopics: each of many topics, more than a publisher remembers, keeps its own subject, short and long and from several goroutines.
func TestPublishTopics(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	s := subscribe(t, cluster.Connect(t), "base")
	p := natsbridge.NewPublisher(cluster.Connect(t), "base")
	const publishers, topics, rounds = 4, 500, 2
	topic := func(i int) string { return strings.Repeat("a. *", i%20) + strconv.Itoa(i) }
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			for i := range topics * rounds {
				text := topic(i % topics)
				if err := p.Publish([]byte(text), []byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	had := map[string]int{}
	var parts [][]byte
	for range publishers * topics * rounds {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var err error
		parts, err = s.RecvInto(ctx, parts)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if len(parts) != 2 || string(parts[0]) != string(parts[1]) {
			t.Fatalf("the message %q came on the topic %q", parts[1:], parts[0])
		}
		had[string(parts[0])]++
	}
	for i := range topics {
		if n := had[topic(i)]; n != publishers*rounds {
			t.Errorf("%q came %d times, want %d", topic(i), n, publishers*rounds)
		}
	}
}

// TestRecvInto: the topic and the list take the memory of dst, also where the message before had more parts; those behind the topic stay.
func TestRecvInto(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	s := subscribe(t, cluster.Connect(t), "base")
	p := natsbridge.NewPublisher(cluster.Connect(t), "base")
	messages := [][]string{{"long topic", "1", "2", "3"}, {"short", "4"}, {"t"}, {"other", "", "5"}}
	for _, m := range messages {
		if err := p.Publish(bytesOf(m)...); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first, err := s.RecvInto(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept := append([][]byte(nil), first[1:]...)
	dst := first
	for _, want := range messages[1:] {
		got, err := s.RecvInto(ctx, dst)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, texts(got)); diff != "" {
			t.Error(diff)
		}
		if &got[0] != &first[0] || &got[0][0] != &first[0][0] {
			t.Errorf("%q has new memory", want)
		}
		dst = got
	}
	if diff := cmp.Diff(messages[0][1:], texts(kept)); diff != "" {
		t.Error(diff)
	}
}
