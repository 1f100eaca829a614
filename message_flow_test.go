package tincan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipeSocket is a packetSocket without a kernel, so that time can be faked. A
// route is the peer's name.
type pipeSocket struct {
	in       chan fakeDatagram
	errs     chan error
	closed   chan struct{}
	once     sync.Once
	mu       sync.Mutex // guards what follows
	sent     []fakeDatagram
	full     bool // send fails as the peer's queue is full
	allSends int
}

type fakeDatagram struct{ route, payload string }

func newPipeSocket() *pipeSocket {
	return &pipeSocket{in: make(chan fakeDatagram), errs: make(chan error), closed: make(chan struct{})}
}

func (s *pipeSocket) receive(deliver func(route []byte, msgs [][]byte, cut bool)) error {
	select {
	case d := <-s.in:
		deliver([]byte(d.route), [][]byte{[]byte(d.payload)}, strings.HasPrefix(d.payload, "cut"))
		return nil
	case err := <-s.errs:
		return err
	case <-s.closed:
		return net.ErrClosed
	}
}

func (s *pipeSocket) answer(*datagramHandler) error { return errors.ErrUnsupported }

func (s *pipeSocket) send(route, msg []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allSends++
	if s.full {
		return os.NewSyscallError("sendmsg", syscall.ENOBUFS)
	}
	s.sent = append(s.sent, fakeDatagram{string(route), string(msg)})
	return nil
}

func (s *pipeSocket) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

func (s *pipeSocket) remote(route []byte) net.Addr {
	if len(route) == 0 {
		return nil
	}
	return &net.UnixAddr{Name: string(route)}
}
func (s *pipeSocket) local([]byte) net.Addr           { return &net.UnixAddr{} }
func (s *pipeSocket) source([]byte) netip.Addr        { return netip.Addr{} }
func (s *pipeSocket) SetReadDeadline(time.Time) error { return nil }
func (s *pipeSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// flows runs f in a bubble with a listener over a pipeSocket.
func flows(t *testing.T, options string, trace *Trace, f func(t *testing.T, s *pipeSocket, l *flowListener)) {
	synctest.Test(t, func(t *testing.T) {
		e, err := ParseEndpoint("unixgram:test" + options)
		if err != nil {
			t.Fatal(err)
		}
		s := newPipeSocket()
		lc := &ListenConfig{Config: Config{Trace: trace}}
		l := newFlowListener(lc, e, e.boundAddr(), unixPath{}, 0, []packetSocket{s})
		defer l.Close()
		if err := l.claim(accepting); err != nil {
			t.Fatal(err)
		}
		f(t, s, l)
	})
}

// from sends one datagram and waits until it was taken in.
func (s *pipeSocket) from(route, payload string) {
	s.in <- fakeDatagram{route, payload}
	synctest.Wait()
}

func acceptFlow(t *testing.T, l *flowListener) *flow {
	t.Helper()
	c, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.(*flow)
}

func wantRead(t *testing.T, f *flow, want string) {
	t.Helper()
	buf := make([]byte, 64)
	if n, err := f.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != want {
		t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
	}
}

func TestFlowExpires(t *testing.T) {
	flows(t, "?flow-timeout=10s", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "1")
		time.Sleep(time.Hour) // what waits to be accepted doesn't expire
		f := acceptFlow(t, l)
		wantRead(t, f, "1")
		time.Sleep(9 * time.Second)
		s.from("a", "2") // in: 10 s from here
		wantRead(t, f, "2")
		time.Sleep(9 * time.Second)
		if err := f.WriteMessage(t.Context(), []byte("out")); err != nil { // out: 10 s from here
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := f.ReadMessage(t.Context(), nil); err != io.EOF {
			t.Fatalf("read of an idle flow: %v, want io.EOF", err)
		}
		if idle := time.Since(start); idle != 10*time.Second {
			t.Errorf("expired after %v", idle)
		}
		if err := f.WriteMessage(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to an expired flow: %v", err)
		}
		synctest.Wait()
		if len(l.flows) != 0 {
			t.Errorf("%d flows are left", len(l.flows))
		}
		s.from("a", "3")
		next := acceptFlow(t, l)
		wantRead(t, next, "3")
		if next == f {
			t.Error("the flow rose from the dead")
		}
	})
}

func TestFlowExpiresWithMessagesQueued(t *testing.T) {
	flows(t, "?flow-timeout=10s", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "1")
		f := acceptFlow(t, l)
		s.from("a", "2")
		time.Sleep(11 * time.Second)
		wantRead(t, f, "1")
		wantRead(t, f, "2")
		if _, err := f.ReadMessage(t.Context(), nil); err != io.EOF {
			t.Errorf("then %v, want io.EOF", err)
		}
		_ = f.Close()
		if _, err := f.ReadMessage(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close %v, want net.ErrClosed", err)
		}
	})
}

func TestFlowNeverExpires(t *testing.T) {
	flows(t, "?flow-timeout=off", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "1")
		f := acceptFlow(t, l)
		time.Sleep(1000 * time.Hour)
		s.from("a", "2")
		wantRead(t, f, "1")
		wantRead(t, f, "2")
	})
}

func TestFlowQueueBounded(t *testing.T) {
	var dropped []int
	trace := &Trace{Dropped: func(_, remote net.Addr, size int) {
		if remote.String() != "slow" {
			t.Errorf("dropped one of %v", remote)
		}
		dropped = append(dropped, size)
	}}
	flows(t, "?recv-buffer=100", trace, func(t *testing.T, s *pipeSocket, l *flowListener) {
		big := strings.Repeat("x", 1000)
		s.from("slow", big) // an empty queue takes any
		s.from("slow", "lost")
		s.from("other", "1")
		slow, other := acceptFlow(t, l), acceptFlow(t, l)
		wantRead(t, other, "1") // one peer's full queue is not another's
		if _, err := slow.ReadMessage(t.Context(), make([]byte, 10)); !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("got %v", err)
		}
		for i := range 20 {
			s.from("slow", fmt.Sprintf("message%d", i%10))
		}
		for i := range 8 { // of 12 bytes each, with their headers
			wantRead(t, slow, fmt.Sprintf("message%d", i))
		}
		s.from("slow", "last")
		wantRead(t, slow, "last")
		want := append([]int{4}, slices.Repeat([]int{8}, 12)...)
		if !slices.Equal(dropped, want) || l.Dropped() != uint64(len(want)) {
			t.Errorf("dropped %v (%d), want %v", dropped, l.Dropped(), want)
		}
	})
}

func TestFlowCutDatagram(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "cut: longer than a slot")
		s.from("a", "whole")
		f := acceptFlow(t, l)
		if _, err := f.ReadMessage(t.Context(), make([]byte, 100)); !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("got %v", err)
		}
		wantRead(t, f, "whole")
	})
}

func TestFlowTableBounded(t *testing.T) {
	var refused []string
	trace := &Trace{Refused: func(_, remote net.Addr, err error) {
		if !errors.Is(err, ErrTooManyConns) {
			t.Errorf("refused by %v", err)
		}
		refused = append(refused, remote.String())
	}}
	flows(t, "?max-flows=2&flow-timeout=10s", trace, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "1")
		s.from("b", "1")
		s.from("c", "1")
		s.from("a", "2")
		a := acceptFlow(t, l)
		acceptFlow(t, l)
		wantRead(t, a, "1")
		wantRead(t, a, "2")
		time.Sleep(11 * time.Second)
		s.from("c", "2") // both have expired
		wantRead(t, acceptFlow(t, l), "2")
		if !slices.Equal(refused, []string{"c"}) {
			t.Errorf("refused %v", refused)
		}
	})
}

// A full peer holds up its own writer, until there is room or ctx ends, and nobody else.
func TestFlowPeerFull(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "1")
		f := acceptFlow(t, l)
		s.setFull(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := f.WriteMessage(ctx, []byte("x"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s.allSends > 200 {
			t.Errorf("tried %d times in a second", s.allSends)
		}
		go func() {
			time.Sleep(time.Second)
			s.setFull(false)
		}()
		if err := f.WriteMessage(t.Context(), []byte("y")); err != nil {
			t.Error(err)
		}
		if want := []fakeDatagram{{"a", "y"}}; !slices.Equal(s.sent, want) {
			t.Errorf("sent %v", s.sent)
		}
		s.setFull(true)
		go func() {
			time.Sleep(time.Second)
			_ = l.Close()
		}()
		if err := f.WriteMessage(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// What ICMP brings about is an error of the socket, not its end.
func TestFlowSocketErrors(t *testing.T) {
	var pauses []time.Duration
	trace := &Trace{Pausing: func(_ net.Addr, wait time.Duration, _ error) { pauses = append(pauses, wait) }}
	flows(t, "", trace, func(t *testing.T, s *pipeSocket, l *flowListener) {
		for range 3 {
			s.errs <- syscall.ECONNREFUSED
		}
		s.from("a", "1")
		wantRead(t, acceptFlow(t, l), "1")
		if want := []time.Duration{minPause, 2 * minPause}; !slices.Equal(pauses, want) {
			t.Errorf("paused %v, want %v", pauses, want)
		}
	})
}

func TestFlowUnnamedPeer(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("", "1")
		f := acceptFlow(t, l)
		wantRead(t, f, "1")
		if err := f.WriteMessage(t.Context(), nil); !errors.Is(err, errUnnamed) {
			t.Errorf("got %v", err)
		}
	})
}

// Every caller of Accept gets a flow, in turn.
func TestFlowAcceptors(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if _, err := l.Accept(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for i := range 5 {
			s.in <- fakeDatagram{fmt.Sprint(i), ""}
		}
		group.Wait()
	})
}

func TestMessageQueue(t *testing.T) {
	var q messageQueue
	buf := make([]byte, 1<<16)
	var want []string
	pop := func() {
		n, ok := q.pop(buf)
		if !ok || string(buf[:n]) != want[0] {
			t.Fatalf("popped %d bytes, want %d", n, len(want[0]))
		}
		want = want[1:]
	}
	for i := range 10_000 {
		msg := strings.Repeat(string(rune('a'+i%26)), i*7%300)
		if q.push([]byte(msg), false, 4<<10) {
			want = append(want, msg)
		}
		if i%3 > 0 || len(want) > 30 {
			for range min(len(want), i%4) {
				pop()
			}
		}
	}
	if cap(q.buf) > 64<<10 { // what is borrowed
		t.Errorf("a queue of 4 KiB holds %d bytes", cap(q.buf))
	}
	for !q.empty() {
		pop()
	}
	if len(want) != 0 {
		t.Errorf("%d messages are lost", len(want))
	}
	q.push(make([]byte, 60_000), false, 4<<10)
	q.pop(buf)
	if q.buf != nil {
		t.Errorf("an empty queue holds %d bytes", cap(q.buf))
	}
}
