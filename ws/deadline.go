package ws

import (
	"sync"
	"time"
)

// deadline is an instant whose passing closes a channel. The zero value is none.
type deadline struct {
	mu     sync.Mutex // guards what follows
	passed chan struct{}
	isPast bool // passed is closed
	turn   int  // counts set, so that a timer set before has no effect
	timer  *time.Timer
}

// wait gives a channel that is closed when the deadline passes. It stays good
// when the deadline is moved before that.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) channel() chan struct{} {
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	return d.passed
}

// set moves the deadline; the zero time is none.
func (d *deadline) set(t time.Time) {
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

func (d *deadline) pass() {
	close(d.channel())
	d.isPast = true
}
