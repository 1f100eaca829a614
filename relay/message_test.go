package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
	"github.com/tincan-ipc/tincan/relay"
)

// messageKinds are endpoints of every family that carries messages.
var messageKinds = map[string]struct {
	endpoint func(t *testing.T) string
	ends     bool // the end of one direction is told alone
	longest  int  // what is sent in the tests; 0: 1 MiB
	linux    bool
}{
	"udp":        {endpoint: fixed("udp://127.0.0.1:0"), longest: 65507},
	"unixgram":   {endpoint: func(t *testing.T) string { return "unixgram:" + filepath.Join(t.TempDir(), "s") }, longest: 65507, linux: true},
	"unixpacket": {endpoint: func(t *testing.T) string { return "unixpacket:" + filepath.Join(t.TempDir(), "s") }, ends: true, longest: 65507, linux: true},
	"ws":         {endpoint: fixed("ws://127.0.0.1:0/relay")},
	"mem":        {endpoint: func(t *testing.T) string { return "mem:" + nameFor(t) }, ends: true},
}

// connectMessages gives the two ends of a message connection; the first message of a datagram client begins it.
func connectMessages(t *testing.T, kind string) (client, server tincan.MessageConn) {
	t.Helper()
	return connectMessagesAt(t, messageKinds[kind].endpoint(t))
}

func connectMessagesAt(t *testing.T, endpoint string) (client, server tincan.MessageConn) {
	t.Helper()
	l, err := (&tincan.ListenConfig{Config: config()}).ListenMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted := make(chan tincan.MessageConn, 1)
	go func() {
		c, err := l.Accept(t.Context())
		if err != nil {
			t.Error(err)
		}
		if err := tincan.Handshake(t.Context(), c); err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err = (&tincan.Dialer{Config: config()}).DialMessage(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.WriteMessage(t.Context(), []byte("begin")); err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { _ = server.Close() })
	if n, err := server.ReadMessage(t.Context(), make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	return client, server
}

// startMessages relays between new connections and gives their far ends.
func startMessages(ctx context.Context, t *testing.T, from, to string, o *relay.Options) (a, b tincan.MessageConn, done <-chan outcome) {
	t.Helper()
	a, first := connectMessages(t, from)
	b, second := connectMessages(t, to)
	return a, b, relayMessages(ctx, first, second, o)
}

func relayMessages(ctx context.Context, first, second tincan.MessageConn, o *relay.Options) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		r, err := relay.Messages(ctx, first, second, 0, o)
		ch <- outcome{r, err}
	}()
	return ch
}

// eachMessagePair tests every pair of message kinds.
func eachMessagePair(t *testing.T, f func(t *testing.T, from, to string)) {
	for from, k := range messageKinds {
		for to, l := range messageKinds {
			t.Run(from+"-"+to, func(t *testing.T) {
				if (k.linux || l.linux) && runtime.GOOS != "linux" {
					t.Skip("Linux only")
				}
				t.Parallel()
				f(t, from, to)
			})
		}
	}
}

// expectMessages reads as many as want and compares.
func expectMessages(ctx context.Context, c tincan.MessageConn, want [][]byte) error {
	buf := make([]byte, 2<<20)
	for i, m := range want {
		n, err := c.ReadMessage(ctx, buf)
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if !bytes.Equal(buf[:n], m) {
			return fmt.Errorf("message %d has %d bytes, want %d, or others", i, n, len(m))
		}
	}
	return nil
}

func writeMessages(ctx context.Context, c tincan.MessageConn, msgs [][]byte) error {
	for i, m := range msgs {
		if err := c.WriteMessage(ctx, m); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// Every message arrives as the one that it was, empty and long ones too, both ways at once.
func TestMessagesWhole(t *testing.T) {
	eachMessagePair(t, func(t *testing.T, from, to string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		a, b, done := startMessages(ctx, t, from, to, &relay.Options{EndWait: 50 * time.Millisecond})
		longest := 1 << 20
		for _, k := range []string{from, to} {
			if n := messageKinds[k].longest; n > 0 {
				longest = min(longest, n)
			}
		}
		msgs := [][]byte{[]byte("a"), {}, []byte("b"), pattern(longest, 1), {}, {}, []byte("c")}
		for i := range 30 {
			msgs = append(msgs, pattern(100+i%3, uint64(i)))
		}
		size := 0
		for _, m := range msgs {
			size += len(m)
		}
		all(t,
			func() error { return writeMessages(ctx, a, msgs) },
			func() error { return writeMessages(ctx, b, msgs) },
			func() error { return expectMessages(ctx, a, msgs) },
			func() error { return expectMessages(ctx, b, msgs) })
		// How it ends depends on the family: closing one end is an end for some, and nothing for datagrams.
		_ = a.Close()
		_ = b.Close()
		if !messageKinds[from].ends && from != "ws" || !messageKinds[to].ends && to != "ws" {
			cancel()
		}
		if got := await(t, done); got.result != (relay.Result{Forward: int64(size), Backward: int64(size)}) {
			t.Errorf("ended with %+v, want %d bytes each way", got, size)
		}
	})
}

// An end passes, and the other direction goes on, where both families tell it.
func TestMessagesHalfClose(t *testing.T) {
	for _, from := range []string{"unixpacket", "mem"} {
		for _, to := range []string{"unixpacket", "mem"} {
			if runtime.GOOS != "linux" && (from == "unixpacket" || to == "unixpacket") {
				continue
			}
			a, b, done := startMessages(t.Context(), t, from, to, nil)
			if err := tincan.CloseWrite(a); err != nil {
				t.Fatal(err)
			}
			if _, err := b.ReadMessage(t.Context(), make([]byte, 1)); err != io.EOF { // the bare one
				t.Errorf("got %v, want io.EOF", err)
			}
			late := [][]byte{[]byte("late"), {}, []byte("later")}
			if err := errors.Join(writeMessages(t.Context(), b, late), expectMessages(t.Context(), a, late), tincan.CloseWrite(b)); err != nil {
				t.Error(err)
			}
			if got := await(t, done); got.err != nil {
				t.Errorf("ended with %+v", got)
			}
		}
	}
}

// A message that the other side can't take is lost alone, and told.
func TestMessagesTooLong(t *testing.T) {
	for _, to := range []string{"udp", "mem"} {
		t.Run(to, func(t *testing.T) {
			var dropped atomic.Int64
			a, first := connectMessages(t, "ws")
			endpoint := messageKinds[to].endpoint(t)
			if to == "mem" {
				endpoint += "?max-message=65507"
			}
			b, second := connectMessagesAt(t, endpoint)
			if to == "mem" { // the limit is the accepting side's
				b, second = second, b
			}
			done := relayMessages(t.Context(), first, second, &relay.Options{
				EndWait: time.Millisecond,
				Trace:   &tincan.Trace{Dropped: func(_, _ net.Addr, size int) { dropped.Add(int64(size)) }},
			})
			fits := [][]byte{[]byte("before"), pattern(65507, 1), {}, []byte("after")}
			sent := [][]byte{fits[0], fits[1], pattern(65508, 2), fits[2], fits[3]}
			if err := errors.Join(writeMessages(t.Context(), a, sent), expectMessages(t.Context(), b, fits)); err != nil {
				t.Error(err)
			}
			if n := dropped.Load(); n != 65508 {
				t.Errorf("%d bytes were told as dropped", n)
			}
			_, _ = a.Close(), b.Close()
			if got := await(t, done); got.result.Forward != 65507+6+5 {
				t.Errorf("ended with %+v", got)
			}
		})
	}
}

// A message over the relay's own limit is lost alone as well.
func TestMessagesLimit(t *testing.T) {
	var dropped atomic.Int64
	a, first := connectMessages(t, "mem")
	b, second := connectMessages(t, "mem")
	done := make(chan error, 1)
	go func() {
		_, err := relay.Messages(t.Context(), first, second, 100, &relay.Options{Trace: &tincan.Trace{Dropped: func(_, _ net.Addr, _ int) { dropped.Add(1) }}})
		done <- err
	}()
	fits := [][]byte{make([]byte, 100), {}, []byte("x")}
	if err := errors.Join(
		writeMessages(t.Context(), a, [][]byte{fits[0], make([]byte, 101), fits[1], fits[2]}),
		expectMessages(t.Context(), b, fits), tincan.CloseWrite(a), tincan.CloseWrite(b), <-done); err != nil {
		t.Error(err)
	}
	if dropped.Load() != 1 {
		t.Errorf("%d were dropped", dropped.Load())
	}
}

// forwardMessages gives every peer of a listener a connection of its own to the target, until the test ends.
func forwardMessages(t *testing.T, from string, f *relay.Forwarder) (addr string) {
	t.Helper()
	l, err := tincan.ListenMessage(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() { _ = f.Message(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = l.Close()
	})
	return l.Addr().String()
}

func parse(t *testing.T, url string) *tincan.Endpoint {
	t.Helper()
	e, err := tincan.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// echoing answers every datagram with itself.
func echoing(t *testing.T) (addr string) {
	t.Helper()
	l, err := tincan.ListenMessage(t.Context(), "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- tincan.ServeDatagrams(ctx, l, func(d *tincan.Datagram) []byte { return d.Payload })
	}()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, l.Close()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Peers that talk at the same time each get the replies to what they sent.
func TestForwarderDatagrams(t *testing.T) {
	f := &relay.Forwarder{Targets: []*tincan.Endpoint{parse(t, echoing(t))}}
	addr := forwardMessages(t, "udp://127.0.0.1:0", f)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var peers []tincan.MessageConn
	for range 5 {
		c, err := tincan.DialMessage(ctx, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peers = append(peers, c)
	}
	for round := range 20 {
		msg := func(i int) []byte { return pattern(1+50*i+round, uint64(i)) }
		for i, c := range peers {
			if err := c.WriteMessage(ctx, msg(i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range slices.Backward(peers) {
			if err := expectMessages(ctx, c, [][]byte{msg(i)}); err != nil {
				t.Fatalf("peer %d: %v", i, err)
			}
		}
	}
	for _, size := range []int{0, 65507} {
		if err := errors.Join(peers[0].WriteMessage(ctx, make([]byte, size)), expectMessages(ctx, peers[0], [][]byte{make([]byte, size)})); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := peers[0].WriteMessage(ctx, make([]byte, 65508)); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("65,508 bytes: %v", err)
	}
	if err := errors.Join(peers[0].WriteMessage(ctx, []byte("x")), expectMessages(ctx, peers[0], [][]byte{[]byte("x")})); err != nil {
		t.Errorf("after them: %v", err)
	}
}

// A session ends in order when its peer was silent for the flow's timeout, and the next datagram begins another.
func TestForwarderSessionExpires(t *testing.T) {
	ended := make(chan error, 10)
	target, err := net.ListenPacket("udp", "127.0.0.1:0") // which doesn't answer: a busy machine may be slower than the timeout
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := target.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	f := &relay.Forwarder{
		Targets: []*tincan.Endpoint{parse(t, "udp://"+target.LocalAddr().String())},
		Options: relay.Options{EndWait: time.Millisecond},
		Ended:   func(_ tincan.Conn, _ *tincan.Endpoint, _ relay.Result, err error) { ended <- err },
	}
	addr := forwardMessages(t, "udp://127.0.0.1:0?flow-timeout=50ms", f)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := tincan.DialMessage(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 2 {
		if err := c.WriteMessage(ctx, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		if n, _, err := target.ReadFrom(got); n != 1 || err != nil || got[0] != byte(i) {
			t.Fatalf("datagram %d arrived as %v, %v", i, got[:n], err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the session ended with %v", err)
			}
		case <-ctx.Done():
			t.Fatal("the session goes on")
		}
	}
}

// A target port where nobody listens ends the session, with an error of kind connect.
func TestForwarderDatagramRefused(t *testing.T) {
	gone, err := tincan.ListenMessage(t.Context(), "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := parse(t, gone.Addr().String())
	_ = gone.Close()
	ended := make(chan error, 10)
	f := &relay.Forwarder{
		Targets: []*tincan.Endpoint{target},
		Ended:   func(_ tincan.Conn, _ *tincan.Endpoint, _ relay.Result, err error) { ended <- err },
	}
	c, err := tincan.DialMessage(t.Context(), forwardMessages(t, "udp://127.0.0.1:0", f))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		errorSide(t, err, false)
		if tincan.KindOf(err) != tincan.KindConnect || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("ended with %v, want a refusal", err)
		}
	case <-time.After(patience):
		t.Fatal("the session goes on")
	}
}

func TestMessagesTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b, done := startMessages(t.Context(), t, "mem", "mem", &relay.Options{IdleTimeout: 5 * time.Second})
		go func() { _ = expectMessages(t.Context(), b, [][]byte{{}, {}}) }()
		for range 2 {
			time.Sleep(3 * time.Second)
			if err := a.WriteMessage(t.Context(), nil); err != nil { // an empty message is no silence
				t.Error(err)
			}
		}
		if got := <-done; tincan.KindOf(got.err) != tincan.KindTimeout {
			t.Errorf("ended with %v", got.err)
		}
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A lone message is sent on at once: no time passes before the other side has it.
func TestMessagesUndelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, done := startMessages(t.Context(), t, "mem", "mem", nil)
		begin := time.Now()
		for _, way := range [][2]tincan.MessageConn{{a, b}, {b, a}} {
			if err := way[0].WriteMessage(t.Context(), []byte("alone")); err != nil {
				t.Error(err)
			}
			if err := expectMessages(t.Context(), way[1], [][]byte{[]byte("alone")}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
		_, _ = a.Close(), b.Close()
		<-done
	})
}

// Nor does a lone datagram wait for others to be read or sent along with it: many a round trip takes less than the
// shortest of timers would.
func TestForwarderLoneDatagram(t *testing.T) {
	f := &relay.Forwarder{Targets: []*tincan.Endpoint{parse(t, echoing(t))}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := tincan.DialMessage(ctx, forwardMessages(t, "udp://127.0.0.1:0", f))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const enough, tries = 20, 1000 // on a busy machine most may be slow
	for fast, n := 0, 0; fast < enough; n++ {
		if n == tries {
			t.Fatalf("%d round trips of %d took less than a millisecond", fast, n)
		}
		begin := time.Now()
		if err := c.WriteMessage(ctx, []byte("alone")); err != nil {
			t.Fatal(err)
		}
		if err := expectMessages(ctx, c, [][]byte{[]byte("alone")}); err != nil {
			t.Fatal(err)
		}
		if time.Since(begin) < time.Millisecond {
			fast++
		}
	}
}

func TestMessagesContext(t *testing.T) {
	eachMessagePair(t, func(t *testing.T, from, to string) {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, _, done := startMessages(ctx, t, from, to, nil)
		cause := errors.New("enough")
		cancel(cause)
		if got := await(t, done); !errors.Is(got.err, cause) {
			t.Errorf("ended with %v, want the cause", got.err)
		}
	})
}

// Streams cross to messages and back through a framing, and a message that has no form in it is lost alone.
func TestMessagesFramed(t *testing.T) {
	a, first := connect(t, "unix")
	b, second := connectMessages(t, "udp")
	var dropped atomic.Int64
	done := relayMessages(t.Context(), frame.NewConn(first, frame.Line, 0), second, &relay.Options{
		EndWait: 10 * time.Millisecond,
		Trace:   &tincan.Trace{Dropped: func(_, _ net.Addr, _ int) { dropped.Add(1) }},
	})
	if _, err := io.WriteString(a, "one\n\nthree\n"); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(
		expectMessages(t.Context(), b, [][]byte{[]byte("one"), {}, []byte("three")}),
		writeMessages(t.Context(), b, [][]byte{[]byte("back"), []byte("no\nline"), {}}),
		receive(a, []byte("back\n\n")), end(a), expectEnd(a))
	if err != nil {
		t.Error(err)
	}
	if got := await(t, done); got.err != nil || dropped.Load() != 1 {
		t.Errorf("ended with %+v, %d dropped", got, dropped.Load())
	}
}
