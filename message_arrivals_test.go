package tincan

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
)

// texts gives messages.
func texts(s ...string) [][]byte {
	msgs := make([][]byte, len(s))
	for i := range s {
		msgs[i] = []byte(s[i])
	}
	return msgs
}

// A reader is woken when all that one call received is queued, and finds all of it.
func TestFlowWokenOnce(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "0")
		f := acceptFlow(t, l)
		wantRead(t, f, "0")
		var b Batch
		read := make(chan error, 1)
		go func() { read <- ReadBatch(t.Context(), f, &b, 0) }()
		synctest.Wait() // it waits
		a := &arrivals{l: l}
		a.deliver([]byte("a"), texts("1", "2"), false)
		a.deliver([]byte("b"), texts("x"), false)
		a.deliver([]byte("a"), texts("3"), false)
		synctest.Wait()
		if len(read) != 0 {
			t.Error("woken before all was queued")
		}
		a.signal()
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if got := bytes.Join(b.Messages(), []byte(" ")); string(got) != "1 2 3" {
			t.Errorf("got %q", got)
		}
		wantRead(t, acceptFlow(t, l), "x")
	})
}

// Whoever else waits is told of what the first one leaves.
func TestFlowWakesTheNext(t *testing.T) {
	flows(t, "", nil, func(t *testing.T, s *pipeSocket, l *flowListener) {
		s.from("a", "0")
		f := acceptFlow(t, l)
		wantRead(t, f, "0")
		done := make(chan error, 2)
		go func() {
			_, err := f.ReadMessage(t.Context(), make([]byte, 8))
			done <- err
		}()
		synctest.Wait()
		go func() { done <- WaitReadable(t.Context(), f) }()
		synctest.Wait()
		a := &arrivals{l: l}
		a.deliver([]byte("a"), texts("1", "2"), false)
		a.signal()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		wantRead(t, f, "2")
	})
}

// Of a run that doesn't fit as a whole, what fits is queued and each other one is told; of one that finds its flow
// just ended nothing is lost.
func TestFlowRunDoesNotFit(t *testing.T) {
	var dropped []int
	trace := &Trace{Dropped: func(_, _ net.Addr, size int) { dropped = append(dropped, size) }}
	flows(t, "?recv-buffer=30", trace, func(t *testing.T, _ *pipeSocket, l *flowListener) {
		a := &arrivals{l: l}
		a.deliver([]byte("a"), texts("12345678901234567890", "12345678", "1", "12345"), false) // with 4 bytes each for a header
		a.signal()
		f := acceptFlow(t, l)
		wantRead(t, f, "12345678901234567890")
		wantRead(t, f, "1")
		if !slices.Equal(dropped, []int{8, 5}) || l.Dropped() != 2 {
			t.Errorf("dropped %v", dropped)
		}
		f.mu.Lock()
		f.end = net.ErrClosed // and not yet forgotten
		f.mu.Unlock()
		a.deliver([]byte("a"), texts("2", "3"), false)
		a.signal()
		next := acceptFlow(t, l)
		for i := 2; i <= 3; i++ {
			wantRead(t, next, fmt.Sprint(i))
		}
	})
}
