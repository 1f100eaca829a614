package wait

import (
	"sync"
	"time"
)

// A Deadline is an instant whose passing closes a channel. The zero value is one
// that never passes. Its methods may be called at once.
type Deadline struct {
	mu     sync.Mutex // guards what follows
	passed chan struct{}
	isPast bool // passed is closed
	turn   int  // counts Set, so that a timer set before has no effect
	timer  *time.Timer
}

// Wait gives a channel that is closed when the deadline passes. It stays good
// when the deadline is moved before that.
func (d *Deadline) Wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *Deadline) channel() chan struct{} {
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	return d.passed
}

// Set moves the deadline; the zero time is none.
func (d *Deadline) Set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.turn++
	if d.isPast {
		d.passed, d.isPast = nil, false
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.pass()
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if turn == d.turn {
			d.pass()
		}
	})
}

func (d *Deadline) pass() {
	close(d.channel())
	d.isPast = true
}
