package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestFan: each client gets what is sent while it is there, and the end.
func TestFan(t *testing.T) {
	f := newFan()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f.wait(ctx) {
		t.Error("wait sees a client before one has come")
	}
	none := func(error) {}
	first := f.join(none)
	if !f.wait(t.Context()) {
		t.Error("wait sees no client")
	}
	f.send([]byte("one "))
	second := f.join(none)
	f.send([]byte("two "))
	f.send([]byte{})
	f.leave(first)
	f.send([]byte("three"))
	f.end()
	late := f.join(none)
	for _, test := range []struct {
		box  *outbox
		want string
	}{{first, "one two "}, {second, "two three"}, {late, ""}} {
		if got, err := io.ReadAll(test.box); err != nil || string(got) != test.want {
			t.Errorf("got %q, %v, want %q", got, err, test.want)
		}
	}
	for _, o := range []*outbox{second, late} {
		f.leave(o)
	}
	if !f.wait(t.Context()) {
		t.Error("the input's end leaves clients of later waiting")
	}
}

// TestFanKeepsMessages: an empty chunk is a message too.
func TestFanKeepsMessages(t *testing.T) {
	f := newFan()
	box := f.join(func(error) {})
	f.send([]byte("a"))
	f.send([]byte{})
	f.end()
	for _, want := range []string{"a", ""} {
		if got, err := box.next(); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := box.next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v after the last", err)
	}
}

// TestFanSlowClient: the input waits for a client that moves, however slowly,
// and drops one that doesn't; neither holds more than its share.
func TestFanSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFan()
		var dropped error
		stuck := f.join(func(err error) { dropped = err })
		slow := f.join(func(err error) { t.Errorf("the slow client was dropped: %v", err) })
		received := make(chan int)
		go func() {
			n := 0
			for {
				time.Sleep(patience / 2)
				chunk, err := slow.next()
				if err != nil {
					received <- n
					return
				}
				n += len(chunk)
			}
		}()
		const chunks = 40
		for range chunks {
			f.send(bytes.Repeat([]byte("x"), 64<<10))
			if dropped != nil {
				f.leave(stuck)
				dropped = nil
			}
			for _, o := range f.members() {
				o.mu.Lock()
				if o.size > outboxSize {
					t.Errorf("%d bytes wait for a client", o.size)
				}
				o.mu.Unlock()
			}
		}
		f.end()
		if n := <-received; n != chunks*64<<10 {
			t.Errorf("the slow client got %d bytes", n)
		}
		if len(f.members()) != 1 {
			t.Error("the stuck client was not dropped")
		}
	})
}
