package pattern

import (
	"testing"
	"time"
)

// dialoguing gives a reader of a socket with no other peer that is amid a dialogue.
func dialoguing() *reader { return &reader{p: &peer{s: &socket{}}, turns: dialogue} }

// TestBusyPollBegins holds a reader to looking only where a dialogue is under way, with the only peer, and while no other looks.
func TestBusyPollBegins(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*reader)
		want   bool
	}{
		"dialogue":       {func(*reader) {}, true},
		"few turns":      {func(r *reader) { r.turns-- }, false},
		"another peer":   {func(r *reader) { r.p.s.peers = map[*peer]struct{}{r.p: {}, {}: {}} }, false},
		"another reader": {func(*reader) { polling.Store(true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			defer polling.Store(false)
			r := dialoguing()
			test.change(r)
			var b busyPoll
			if got := b.begin(r); got != test.want {
				t.Errorf("begin: %v, want %v", got, test.want)
			}
		})
	}
}

// TestBusyPollGivesUp holds it to letting twice as many waits go by each time that it looked in vain, and to begin
// anew after a message.
func TestBusyPollGivesUp(t *testing.T) {
	r := dialoguing()
	var b busyPoll
	begin := func() {
		t.Helper()
		skipped := 0
		for !b.begin(r) {
			if skipped++; skipped > maxSkips {
				t.Fatalf("it skipped more than %d waits", maxSkips)
			}
		}
		if skipped != b.vain {
			t.Fatalf("it skipped %d waits, want %d", skipped, b.vain)
		}
	}
	for want := 1; want <= 2*maxSkips; want *= 2 {
		begin()
		b.until = time.Now().Add(time.Hour)
		if !b.again() {
			t.Fatal("it gave up at once")
		}
		b.until = time.Now().Add(-1)
		if b.again() {
			t.Fatal("it looks for longer than it may")
		}
		b.end()
		if b.skips != min(want, maxSkips) || polling.Load() {
			t.Fatalf("after it gave up: %d waits to skip, polling %v; want %d, false", b.skips, polling.Load(), min(want, maxSkips))
		}
	}
	begin()
	b.until = time.Now().Add(time.Hour)
	b.end() // a message came
	if !b.begin(r) {
		t.Error("it doesn't look again after a message")
	}
	b.end()
}
