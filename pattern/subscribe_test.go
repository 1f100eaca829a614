package pattern_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// TestSnapshot has a publisher send more than a queue holds to each newcomer while it goes on publishing: the newcomer gets
// the snapshot, then all that was published meanwhile, then the rest.
func TestSnapshot(t *testing.T) {
	const size = 500
	topics := make(chan string, 10)
	during := make(chan struct{})
	var pub *pattern.Pub
	pub = pattern.NewPub(&pattern.Options{
		SendHighWater: 50,
		OnSubscribe: func(topic string, send func(parts ...[]byte) error) {
			topics <- topic
			for i := range size {
				if err := send(fmt.Append(nil, topic, " snapshot ", i)); err != nil {
					t.Errorf("snapshot %d: %v", i, err)
				}
				if i == size/2 {
					publish(t, pub, "a", "during")
					publish(t, pub, "b", "not for it")
					close(during)
				}
			}
		},
	})
	addr := listen(t, "unix", pub)
	publish(t, pub, "a", "before")
	sub := follow(t, addr, nil, "a", "a")
	for i := range size {
		want(t, sub, fmt.Sprint("a snapshot ", i))
	}
	<-during
	want(t, sub, "a", "during")
	waitSubscribers(t, pub, 1)
	publish(t, pub, "a", "after")
	want(t, sub, "a", "after")
	if len(topics) != 1 || <-topics != "a" {
		t.Error("the hook wasn't called once for a topic that was subscribed to twice")
	}
}

// TestSnapshotEnds has a subscriber that doesn't read its snapshot: Close, and its own end, end the wait.
func TestSnapshotEnds(t *testing.T) {
	began, failed := make(chan struct{}), make(chan error)
	pub := pattern.NewPub(&pattern.Options{
		OnSubscribe: func(_ string, send func(parts ...[]byte) error) {
			began <- struct{}{}
			body := make([]byte, 1<<20)
			for {
				if err := send(body); err != nil {
					failed <- err
					return
				}
			}
		},
	})
	addr := listen(t, "unix", pub)
	stuck := follow(t, addr, &pattern.Options{RecvHighWater: 1}, "")
	<-began
	if err := stuck.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the subscriber went: %v", err)
	}
	follow(t, addr, &pattern.Options{RecvHighWater: 1}, "")
	<-began
	closed := make(chan error)
	go func() { closed <- pub.Close() }()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the publisher closed: %v", err)
	}
	if err := <-closed; err != nil && !isDiscard(err) {
		t.Errorf("Close: %v", err)
	}
}

func isDiscard(err error) bool {
	_, ok := errors.AsType[*pattern.DiscardError](err)
	return ok
}

// TestSubscriptionLimits has a peer that asks for too much lose its connection, alone.
func TestSubscriptionLimits(t *testing.T) {
	for name, topics := range map[string][]string{
		"topics": {"a", "a", "b", "c"},
		"bytes":  {"a", "long"},
	} {
		t.Run(name, func(t *testing.T) {
			var events log
			pub := pattern.NewPub(&pattern.Options{MaxSubscriptions: 2, MaxTopic: 3, OnEvent: events.add})
			addr := listen(t, "mem", pub)
			good := follow(t, addr, nil, "a", "b", "a")
			waitSubscribers(t, pub, 2)
			bad := rawPeer(t, stringAddr(addr), &zmtp.Config{Type: zmtp.Sub})
			var frames []byte
			for _, topic := range topics {
				frames = zmtp.AppendFrame(frames, zmtp.FlagCommand, zmtp.AppendSubscribe(nil, []byte(topic)))
			}
			if _, err := bad.Write(frames); err != nil {
				t.Fatal(err)
			}
			ends(t, bad)
			if gone := events.await(t, pattern.EventDisconnected, 1); len(gone) != 1 || !errors.Is(gone[0].Err, pattern.ErrSubscriptionLimit) {
				t.Errorf("events %v, want one of ErrSubscriptionLimit", gone)
			}
			publish(t, pub, "a")
			want(t, good, "a")
		})
	}
}

// stringAddr is an address as Listen gave it in words.
type stringAddr string

func (stringAddr) Network() string  { return "" }
func (a stringAddr) String() string { return string(a) }

// greeting30 is what a peer of ZMTP 3.0 sends first.
func greeting30(socketType string) []byte {
	g := make([]byte, 64)
	g[0], g[9], g[10] = 0xFF, 0x7F, 3
	copy(g[12:], "NULL")
	name := "Socket-Type"
	body := append([]byte("\x05READY"), byte(len(name)))
	body = append(append(body, name...), 0, 0, 0, byte(len(socketType)))
	return zmtp.AppendFrame(g, zmtp.FlagCommand, append(body, socketType...))
}

// TestOldPeers has peers of ZMTP 3.0, whose subscriptions are messages.
func TestOldPeers(t *testing.T) {
	t.Run("subscriber", func(t *testing.T) {
		pub := pattern.NewXPub(&pattern.Options{Linger: time.Minute})
		c := rawDial(t, stringAddr(listen(t, "unix", pub)))
		if _, err := c.Write(append(greeting30("SUB"), 0, 3, 1, 'a', 'b', 0, 1, 1, 0, 3, 2, 'u', 'p', 0, 1, 0)); err != nil {
			t.Fatal(err)
		}
		want(t, pub, "\x01ab")
		next, err := pub.Recv(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if string(next[0]) == "\x01" { // the subscription to all was told before it was taken back
			want(t, pub, "\x02up")
			want(t, pub, "\x00")
		} else if string(next[0]) != "\x02up" {
			t.Fatalf("received %q", next)
		}
		publish(t, pub, "abc", "x")
		publish(t, pub, "b")
		publish(t, pub, "ab")
		_ = pub.Close()
		got, err := io.ReadAll(c)
		if err != nil && tincan.KindOf(err) != tincan.KindReset {
			t.Fatal(err)
		}
		if sent := []byte("\x01\x03abc\x00\x01x\x00\x02ab"); !bytes.HasSuffix(got, sent) {
			t.Errorf("the peer was sent %q, want %q in the end", got, sent)
		}
	})
	t.Run("publisher", func(t *testing.T) {
		sub := pattern.NewSub(nil)
		addr := listen(t, "unix", sub)
		if err := sub.Subscribe("ab"); err != nil {
			t.Fatal(err)
		}
		c := rawDial(t, stringAddr(addr))
		if _, err := c.Write(append(greeting30("PUB"), 0, 2, 'a', 'b')); err != nil {
			t.Fatal(err)
		}
		want(t, sub, "ab")
		if err := sub.Unsubscribe("ab"); err != nil {
			t.Fatal(err)
		}
		var got []byte
		sent := []byte("\x00\x03\x01ab\x00\x03\x00ab")
		for buf := make([]byte, 256); !bytes.HasSuffix(got, sent); {
			n, err := c.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				t.Fatalf("the peer was sent %q, want %q in the end: %v", got, sent, err)
			}
		}
	})
}

// TestUnfilteredPublisher has a publisher that sends what nobody asked for.
func TestUnfilteredPublisher(t *testing.T) {
	sub := pattern.NewSub(nil)
	addr := listen(t, "unix", sub)
	if err := sub.Subscribe("yes"); err != nil {
		t.Fatal(err)
	}
	c := rawPeer(t, stringAddr(addr), &zmtp.Config{Type: zmtp.Pub})
	var frames []byte
	for i := range 5000 {
		for _, topic := range []string{"no", "yes", "ye", ""} {
			frames = zmtp.AppendFrame(frames, zmtp.FlagMore, []byte(topic))
			frames = zmtp.AppendFrame(frames, 0, fmt.Append(nil, i))
		}
	}
	go func() { _, _ = c.Write(frames) }()
	for i := range 5000 {
		want(t, sub, "yes", fmt.Sprint(i))
	}
}

// TestNoticesAreBounded has subscriptions come and go while nobody receives them: what came to nothing is forgotten.
func TestNoticesAreBounded(t *testing.T) {
	pub := pattern.NewXPub(nil)
	sub := follow(t, listen(t, "unix", pub), nil, "stays")
	waitSubscribers(t, pub, 1) // before others, which a connection begins with in any order
	for i := range 10_000 {
		topic := fmt.Sprint("comes and goes", i%10)
		if err := sub.Subscribe(topic); err != nil {
			t.Fatal(err)
		}
		if err := sub.Unsubscribe(topic); err != nil {
			t.Fatal(err)
		}
		if waiting := pub.Stats().Waiting; waiting > 11 {
			t.Fatalf("%d wait", waiting)
		}
	}
	if err := sub.Subscribe("last"); err != nil {
		t.Fatal(err)
	}
	for pub.Stats().Sent == 0 { // the last subscription has come
		publish(t, pub, "last")
	}
	want(t, pub, "\x01stays")
	want(t, pub, "\x01last")
}

// TestVerbose has an XPub receive every subscription and cancellation.
func TestVerbose(t *testing.T) {
	pub := pattern.NewXPub(&pattern.Options{Verbose: true})
	addr := listen(t, "unix", pub)
	a := follow(t, addr, nil, "t")
	want(t, pub, "\x01t")
	b := follow(t, addr, nil, "t")
	want(t, pub, "\x01t")
	if err := a.Unsubscribe("t"); err != nil {
		t.Fatal(err)
	}
	want(t, pub, "\x00t")
	_ = b.Close()
	want(t, pub, "\x00t")

	// An XSub tells its publishers of every Subscribe.
	x := dialled(t, pattern.NewXSub(&pattern.Options{Verbose: true}), addr)
	if err := x.WaitPeers(within(t), 1); err != nil {
		t.Fatal(err)
	}
	publish(t, x, "\x01u")
	publish(t, x, "\x01u")
	want(t, pub, "\x01u")
	want(t, pub, "\x01u")
}

// TestXSub subscribes by messages as well as by calls, and sends to all publishers.
func TestXSub(t *testing.T) {
	one, two := pattern.NewXPub(nil), pattern.NewXPub(nil)
	sub := pattern.NewXSub(nil)
	for _, pub := range []*pattern.XPub{one, two} {
		if err := sub.Dial(listen(t, "mem", pub)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.WaitPeers(within(t), 2); err != nil {
		t.Fatal(err)
	}
	publish(t, sub, "\x01")
	if err := sub.Subscribe(""); err != nil {
		t.Fatal(err)
	}
	publish(t, sub, "\x00never subscribed")
	publish(t, sub, "up", "")
	publish(t, sub, "")
	for _, pub := range []*pattern.XPub{one, two} {
		want(t, pub, "\x01")
		want(t, pub, "up", "")
		want(t, pub, "")
		publish(t, pub, "down")
		want(t, sub, "down")
	}
	for range 2 {
		if err := sub.Unsubscribe(""); err != nil {
			t.Fatal(err)
		}
	}
	want(t, one, "\x00")
	want(t, two, "\x00")
}

// TestManySubscribers has many subscribers of many types and versions at once, under which the publisher keeps to what each holds.
func TestManySubscribers(t *testing.T) {
	var events log
	pub := pattern.NewPub(&pattern.Options{NoDrop: true, OnEvent: events.add})
	addr := listen(t, "tcp", pub)
	const n = 50
	var subs []*pattern.Sub
	for i := range n {
		subs = append(subs, follow(t, addr, nil, strings.Repeat("x", i), "all"))
	}
	waitSubscribers(t, pub, 2*n)
	for i := range n {
		publish(t, pub, strings.Repeat("x", i)+".", "deep")
	}
	publish(t, pub, "all")
	for i, sub := range subs {
		for k := i; k < n; k++ {
			want(t, sub, strings.Repeat("x", k)+".", "deep")
		}
		want(t, sub, "all")
	}
	for _, sub := range subs[1:] {
		_ = sub.Close()
	}
	events.await(t, pattern.EventDisconnected, n-1)
	if got := pub.Stats(); got.Dropped != 0 {
		t.Errorf("%d dropped", got.Dropped)
	}
	publish(t, pub, "x", "one left")
	want(t, subs[0], "x", "one left")
}

// TestPubClosed shows what the calls of closed sockets say.
func TestPubClosed(t *testing.T) {
	pub, sub, xsub := pattern.NewPub(nil), pattern.NewSub(nil), pattern.NewXSub(nil)
	for _, s := range []socket{pub, sub, xsub} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, recvErr := sub.Recv(t.Context())
	for i, err := range []error{
		pub.Send(t.Context()), pub.WaitSubscribers(t.Context(), 1), sub.Subscribe(""), sub.Unsubscribe(""), recvErr, xsub.Send(t.Context(), []byte{1}),
	} {
		if oe, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(oe, net.ErrClosed) {
			t.Errorf("call %d: %v, want net.ErrClosed in an OpError", i, err)
		}
	}
}

// TestManyTopics subscribes to ten thousand before there is a peer.
func TestManyTopics(t *testing.T) {
	pub := pattern.NewPub(nil)
	addr := listen(t, "unix", pub)
	topics := make([]string, 10_000)
	for i := range topics {
		topics[i] = fmt.Sprint("topic ", i)
	}
	sub := follow(t, addr, nil, topics...)
	waitSubscribers(t, pub, len(topics))
	for _, topic := range topics {
		publish(t, pub, topic)
		want(t, sub, topic)
	}
}

// TestSubscribingUnderALock has every message of a publisher, that counts with a lock held, come once: what was counted before the
// subscription took effect is sent by the hook, and the rest as it is published.
func TestSubscribingUnderALock(t *testing.T) {
	var mu sync.Mutex
	last := 0
	pub := pattern.NewPub(&pattern.Options{
		OnSubscribing: func(_ string, take func() bool, send func(parts ...[]byte) error) {
			mu.Lock()
			now := last
			added := take()
			mu.Unlock()
			if !added {
				return
			}
			if err := send([]byte("n"), fmt.Append(nil, now)); err != nil {
				t.Error(err)
			}
		},
	})
	defer pub.Close()
	addr := listen(t, "unix", pub)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			mu.Lock()
			last++
			_ = pub.Send(t.Context(), []byte("n"), fmt.Append(nil, last))
			mu.Unlock()
			runtime.Gosched()
		}
	}()
	for range 50 {
		sub := follow(t, addr, nil, "n")
		before := -1
		for range 20 {
			parts, err := sub.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi(string(parts[1]))
			if err != nil || before >= 0 && n != before+1 {
				t.Fatalf("after %d comes %s, %v", before, parts[1], err)
			}
			before = n
		}
		_ = sub.Close()
	}
	close(stop)
	<-stopped
}

// TestEndSlow has a subscriber that doesn't read lose its connection, and come again.
func TestEndSlow(t *testing.T) {
	pub := pattern.NewPub(&pattern.Options{SendHighWater: 10, EndSlow: true})
	defer pub.Close()
	addr := listen(t, "unix", pub)
	sub := follow(t, addr, &pattern.Options{RecvHighWater: 1}, "")
	waitSubscribers(t, pub, 1)
	body := make([]byte, 64<<10)
	for pub.Stats().Dropped == 0 {
		publish(t, pub, string(body))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := sub.Recv(t.Context()); err != nil {
				return
			}
		}
	}()
	for pub.Stats().Connects < 2 {
		runtime.Gosched()
	}
	waitSubscribers(t, pub, 1)
	_ = sub.Close()
	<-done
}
