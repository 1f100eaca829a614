package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// publish hosts table on a PUB socket until the test ends, and gives what to follow.
func publish(t *testing.T, table *Table, endpoint string) (p *Publisher, url string) {
	t.Helper()
	p = (&Server{Table: table}).NewPublisher(nil)
	t.Cleanup(func() { _ = p.Close() })
	addr, err := p.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return p, "pub+" + addr.String()
}

func TestFollowZMTP(t *testing.T) {
	table := &Table{}
	mustSet(t, table, "door", "open")
	mustSet(t, table, "cpu.load1", 0.42)
	p, url := publish(t, table, "tcp://127.0.0.1:0")

	f := follow(t, url, FollowOptions{})
	var s Snapshot
	u := next(t, f)
	s.Apply(u)
	if same(t, table, &s); u.Snapshot.Seq != 2 {
		t.Errorf("seq is %d", u.Snapshot.Seq)
	}
	narrow := follow(t, url, FollowOptions{Prefixes: []string{"cpu.", "mem."}})
	var n Snapshot
	n.Apply(next(t, narrow))
	same(t, table, &n, "cpu.")
	mustSet(t, table, "cpu.load5", 1)
	if c := next(t, narrow).Change; c == nil || c.Key != "cpu.load5" {
		t.Errorf("a narrowed follower is told %+v", c)
	}
	table.Delete("door")
	until(t, f, &s, func() bool { return s.Seq == 4 })
	same(t, table, &s)
	if err := f.Set(t.Context(), map[string]any{"a": 1}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("set: %v", err)
	}

	// What is deleted while nobody publishes is gone for one who comes back.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	other := &Table{}
	mustSet(t, other, "cpu.load1", 7)
	_, _ = publish(t, other, strings.TrimPrefix(url, "pub+"))
	u = next(t, f)
	if u.Snapshot == nil || u.Snapshot.Seq != 1 {
		t.Fatalf("after a restart comes %+v", u)
	}
	s.Apply(u)
	same(t, other, &s)
}

// TestPublisherTellsAllBeforeItCloses follows a server that finishes.
func TestPublisherTellsAllBeforeItCloses(t *testing.T) {
	table := &Table{}
	p, url := publish(t, table, "tcp://127.0.0.1:0")
	f := follow(t, url, FollowOptions{Once: true})
	var s Snapshot
	s.Apply(next(t, f))
	for i := range 1000 {
		mustSet(t, table, fmt.Sprint(i), i)
	}
	p.server.Finish()
	p.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for {
		u, err := f.Next(t.Context())
		if err != nil {
			break
		}
		s.Apply(u)
	}
	same(t, table, &s)
}

// TestNewSubscriptionsNeverGoBack has plain SUB sockets come and go while the state changes as fast as it can: of each key what they get
// only goes on, and they end with the state.
func TestNewSubscriptionsNeverGoBack(t *testing.T) {
	table := &Table{}
	const keys = 50
	for i := range keys {
		mustSet(t, table, fmt.Sprint("key", i), 0)
	}
	_, url := publish(t, table, "unix:"+filepath.Join(shortDir(t), "s"))
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := table.Set(fmt.Sprint("key", rand.IntN(keys)), i); err != nil {
				t.Error(err)
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond) // a rate that a subscriber can follow
			}
		}
	})
	var subscribers sync.WaitGroup
	for range 4 {
		subscribers.Go(func() {
			for range 8 {
				if err := neverBack(t.Context(), strings.TrimPrefix(url, "pub+"), keys); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	subscribers.Wait()
	close(stop)
	changing.Wait()
}

// neverBack takes five hundred messages of a new subscription.
func neverBack(ctx context.Context, endpoint string, keys int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub := pattern.NewSub(nil)
	defer sub.Close()
	if err := errors.Join(sub.Dial(endpoint), sub.Subscribe("key")); err != nil {
		return err
	}
	seqs := map[string]uint64{}
	for i := range 500 {
		parts, err := sub.Recv(ctx)
		if err != nil {
			return err
		}
		u, err := parseUpdate(parts[1])
		if err != nil {
			return err
		}
		c := u.Change
		if c.Seq <= seqs[c.Key] {
			return fmt.Errorf("message %d is change %d of %s after %d", i, c.Seq, c.Key, seqs[c.Key])
		}
		if seqs[c.Key] = c.Seq; i == keys-1 && len(seqs) != keys {
			return fmt.Errorf("the first %d messages have %d keys", keys, len(seqs))
		}
	}
	return nil
}

// TestSlowSubscriberComesBack has one that doesn't read lose its connection, and know the state in the end all the same.
func TestSlowSubscriberComesBack(t *testing.T) {
	table := &Table{}
	s := &Server{Table: table}
	p := s.NewPublisher(&pattern.Options{SendHighWater: 100})
	defer p.Close()
	addr, err := p.Listen(t.Context(), "tcp://127.0.0.1:0?send-buffer=4KiB")
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, "sub+"+addr.String()+"?recv-buffer=4KiB", FollowOptions{Socket: &pattern.Options{RecvHighWater: 10}})
	var got Snapshot
	got.Apply(next(t, f))
	padding := strings.Repeat("x", 1000)
	mustSet(t, table, "goes", 1)
	for i := 0; p.Stats().Dropped == 0; i++ {
		mustSet(t, table, fmt.Sprint("key", i%200), fmt.Sprint(i, padding))
	}
	table.Delete("goes")
	mustSet(t, table, "last", true)
	want := valuesOf(table.Snapshot().Values)
	until(t, f, &got, func() bool { return maps.Equal(want, valuesOf(got.Values)) })
}

// TestForeignPublisher follows one that only publishes changes, as a few lines in any language do.
func TestForeignPublisher(t *testing.T) {
	pub := pattern.NewPub(&pattern.Options{OnSubscribe: func(topic string, send func(...[]byte) error) {
		if topic == "" {
			_ = send([]byte("a"), []byte(`{"seq":3,"key":"a","value":1}`))
		}
	}})
	defer pub.Close()
	addr, err := pub.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, "pub+"+addr.String(), FollowOptions{})
	u := next(t, f)
	if u.Snapshot == nil {
		t.Fatalf("first comes %+v", u)
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, valuesOf(u.Snapshot.Values)); diff != "" {
		t.Error(diff)
	}
	for _, object := range []string{`{"seq":2,"key":"a","value":0}`, `{"seq":4,"key":"a","value":2}`} {
		if err := pub.Send(t.Context(), []byte("a"), []byte(object)); err != nil {
			t.Fatal(err)
		}
	}
	if c := next(t, f).Change; c == nil || string(c.Value) != "2" {
		t.Errorf("then comes %+v", c)
	}
	lost := make(chan error, 1)
	broken := follow(t, "pub+"+addr.String(), FollowOptions{OnLost: func(err error, _ time.Duration) {
		select {
		case lost <- err:
		default:
		}
	}})
	next(t, broken)
	if err := pub.Send(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; !errors.Is(err, ErrProtocol) {
		t.Errorf("a message without a change: %v", err)
	}
}

func TestNoPublisher(t *testing.T) {
	var wrong *tincan.EndpointError
	if _, err := Follow("pub+udp://127.0.0.1:1", nil); !errors.As(err, &wrong) {
		t.Errorf("over UDP: %v", err)
	}
	f := follow(t, "pub+tcp://127.0.0.1:1", FollowOptions{Once: true})
	if _, err := f.Next(t.Context()); tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("nobody there: %v", err)
	}
}
