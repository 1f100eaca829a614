package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
)

// Both ways at once, every byte arrives and the count is exact, whatever the sizes are to those of buffers and pipes.
func TestStreamsWhole(t *testing.T) {
	sizes := []int{0, 1, 2<<10 - 1, 2 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 * 64 << 10, 512<<10 + 1, 3<<20 + 13}
	plain := func(t *testing.T, from, to string, there, back int) {
		a, b, done := start(t.Context(), t, from, to, &relay.Options{EndWait: 50 * time.Millisecond})
		forward, backward := pattern(there, 1), pattern(back, 2)
		all(t,
			func() error { return send(a, forward) },
			func() error { return send(b, backward) },
			func() error { return receive(b, forward) },
			func() error { return receive(a, backward) })
		if err := end(a); err != nil {
			t.Error(err)
		}
		all(t, func() error { return expectEnd(b) })
		if halfClosing(kinds[from], kinds[to]) {
			if err := end(b); err != nil {
				t.Error(err)
			}
			all(t, func() error { return expectEnd(a) })
		}
		if got := await(t, done); got.err != nil || got.result != (relay.Result{Forward: int64(there), Backward: int64(back)}) {
			t.Errorf("ended with %+v", got)
		}
	}
	eachPair(t, nil, func(t *testing.T, from, to string) { plain(t, from, to, 3<<20+13, 2<<20+7) })
	for _, size := range sizes {
		for _, to := range []string{"unix", "tls", "mem"} {
			t.Run(fmt.Sprintf("%d-%s", size, to), func(t *testing.T) { plain(t, "tcp", to, size, sizes[len(sizes)-1]) })
		}
	}
}

// One side ends first, and the other then sends much more.
func TestStreamsHalfClose(t *testing.T) {
	eachPair(t, halfClosing, func(t *testing.T, from, to string) {
		a, b, done := start(t.Context(), t, from, to, nil)
		request, answer := pattern(10, 1), pattern(8<<20, 2)
		if err := errors.Join(send(a, request), end(a), receive(b, request), expectEnd(b)); err != nil {
			t.Fatal(err)
		}
		all(t,
			func() error { return errors.Join(send(b, answer), end(b)) },
			func() error { return errors.Join(receive(a, answer), expectEnd(a)) })
		if got := await(t, done); got.err != nil || got.result != (relay.Result{Forward: 10, Backward: 8 << 20}) {
			t.Errorf("ended with %+v", got)
		}
	})
}

// Both ends at once: the relay ends as promptly.
func TestStreamsBothEnd(t *testing.T) {
	eachPair(t, nil, func(t *testing.T, from, to string) {
		a, b, done := start(t.Context(), t, from, to, &relay.Options{EndWait: time.Hour})
		all(t, func() error { return end(a) }, func() error { return end(b) })
		if got := await(t, done); got.err != nil {
			t.Errorf("ended with %+v", got)
		}
	})
}

// Where a side has no half-close, what still comes within EndWait after the end of its input arrives, and
// what is on its way to a slow reader takes as long as it takes.
func TestStreamsNoHalfClose(t *testing.T) {
	const endWait = 3 * time.Second // more than a busy machine keeps a sender from its turn
	one := func(t *testing.T, from, to string) {
		a, b, done := start(t.Context(), t, from, to, &relay.Options{EndWait: endWait})
		answer := pattern(8<<20, 2)
		sent := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(b, make([]byte, 5))
			sent <- errors.Join(err, send(b, answer))
		}()
		if _, err := a.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := tincan.CloseWrite(a); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(a, first); err != nil || first[0] != answer[0] {
			t.Fatalf("got %v, %v", first, err)
		}
		<-time.After(endWait * 3 / 2) // a slow reader
		if err := errors.Join(receive(a, answer[1:]), expectEnd(a), <-sent); err != nil {
			t.Error(err)
		}
		if got := await(t, done); got.err != nil {
			t.Errorf("ended with %+v", got)
		}
	}
	var all sync.WaitGroup // at once, for they wait most of the time
	for from, kind := range kinds {
		if !kind.noHalfClose && (!kind.linux || runtime.GOOS == "linux") {
			all.Go(func() { t.Run(from+"-ws", func(t *testing.T) { one(t, from, "ws") }) })
		}
	}
	all.Wait()
}

func TestStreamsSmall(t *testing.T) {
	eachPair(t, nil, func(t *testing.T, from, to string) {
		a, b, done := start(t.Context(), t, from, to, &relay.Options{EndWait: 50 * time.Millisecond})
		echoed := make(chan struct{})
		go func() {
			defer close(echoed)
			_, _ = io.Copy(b, b)
			_ = b.Close()
		}()
		buf := make([]byte, 5)
		for range 200 {
			if _, err := a.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, buf); err != nil || string(buf) != "hello" {
				t.Fatalf("got %q, %v", buf, err)
			}
		}
		_ = a.Close()
		if got := await(t, done); got.err != nil || got.result.Forward != 1000 || got.result.Backward != 1000 {
			t.Errorf("ended with %+v", got)
		}
		<-echoed
	})
}

// A reader that is slow holds the sender back, and nothing piles up in between.
func TestStreamsBackpressure(t *testing.T) {
	eachPair(t, nil, func(t *testing.T, from, to string) {
		a, b, done := start(t.Context(), t, from, to, nil)
		_ = a.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		total := 0
		for piece := make([]byte, 256<<10); ; {
			n, err := a.Write(piece)
			total += n
			if err != nil {
				break
			}
			if total > 64<<20 { // far more than the kernel's buffers of both connections
				t.Fatalf("%d bytes were taken though nobody read", total)
			}
		}
		_, _ = b.Close(), a.Close() // in this order: TLS would wait 5 s to say that it ends
		await(t, done)
	})
}

// Tap is given every byte in its order, before the peer has it.
func TestStreamsTap(t *testing.T) {
	for _, to := range []string{"tcp", "tls", "mem"} {
		t.Run(to, func(t *testing.T) {
			var (
				mu  sync.Mutex
				saw [2]bytes.Buffer
			)
			a, b, done := start(t.Context(), t, "tcp", to, &relay.Options{Tap: func(d relay.Direction, p []byte) {
				mu.Lock()
				defer mu.Unlock()
				saw[d].Write(p)
			}})
			there, back := pattern(3<<20, 1), pattern(2<<20, 2)
			all(t,
				func() error { return errors.Join(send(a, there), end(a)) },
				func() error { return errors.Join(send(b, back), end(b)) },
				func() error { return receive(b, there) },
				func() error { return receive(a, back) })
			await(t, done)
			if !bytes.Equal(saw[relay.Forward].Bytes(), there) || !bytes.Equal(saw[relay.Backward].Bytes(), back) {
				t.Errorf("the tap saw %d and %d bytes, or others", saw[0].Len(), saw[1].Len())
			}
		})
	}
}

// The ends that are traced are those of the connections that were handed over.
func TestStreamsTraceHalfClosed(t *testing.T) {
	var (
		mu   sync.Mutex
		seen []string
	)
	a, first := connect(t, "tcp")
	b, second := connect(t, "unix")
	names := map[tincan.Conn]string{first: "first", second: "second"}
	trace := &tincan.Trace{HalfClosed: func(c tincan.Conn, side tincan.Side) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, names[c]+" "+side.String())
	}}
	done := make(chan error, 1)
	go func() {
		_, err := relay.Streams(t.Context(), first, second, &relay.Options{Trace: trace})
		done <- err
	}()
	if err := errors.Join(tincan.CloseWrite(a), tincan.CloseWrite(b)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(seen) != 4 {
		t.Errorf("traced %q", seen)
	}
}
