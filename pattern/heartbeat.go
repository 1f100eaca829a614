package pattern

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A heartbeat sends PINGs to a peer, and finds out when nothing comes from it (37/ZMTP, Connection Heartbeating).
// Any traffic counts as life. While nobody asked for it, it costs nothing.
type heartbeat struct {
	on   atomic.Bool  // the reader notes when something came
	seen atomic.Int64 // when that was, as time since the peer was there

	mu       sync.Mutex // guards what follows
	timer    *time.Timer
	stopped  bool
	ttl      time.Duration // what the peer asked for in its PING; zero is no limit
	nextPing time.Duration // zero for none
	pinged   time.Duration // when the first PING was sent that nothing has come since; zero for none
}

// start begins to send PINGs, where the options say so and the peer knows them.
func (h *heartbeat) start(p *peer) {
	who := p.session.Peer()
	if p.s.opts.Heartbeat == 0 || !who.AtLeast(3, 1) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextPing = p.s.opts.Heartbeat
	h.on.Store(true)
	h.arm(p, 0)
}

// note tells that something came from p.
func (h *heartbeat) note(p *peer) {
	if h.on.Load() {
		h.seen.Store(int64(time.Since(p.since)))
	}
}

// asked takes the ttl of a PING of p.
func (h *heartbeat) asked(p *peer, ttl time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ttl == h.ttl || h.stopped {
		return
	}
	h.ttl = ttl
	if h.on.Swap(true); ttl > 0 {
		now := time.Since(p.since)
		h.seen.Store(int64(now))
		h.arm(p, now)
	}
}

// arm sets the timer to the next thing to do. h.mu is held.
func (h *heartbeat) arm(p *peer, now time.Duration) {
	next := h.nextPing
	sooner := func(t time.Duration) {
		if next == 0 || t < next {
			next = t
		}
	}
	if h.pinged > 0 {
		sooner(h.pinged + p.s.opts.HeartbeatTimeout)
	}
	if h.ttl > 0 {
		sooner(time.Duration(h.seen.Load()) + h.ttl)
	}
	switch {
	case next == 0:
	case h.timer == nil:
		h.timer = time.AfterFunc(next-now, func() { h.beat(p) })
	default:
		h.timer.Reset(next - now)
	}
}

// beat does what is due.
func (h *heartbeat) beat(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	now := time.Since(p.since)
	if p.s.inbox.isStalled(p) {
		h.seen.Store(int64(now)) // it is this end that doesn't listen
	}
	seen := time.Duration(h.seen.Load())
	if h.pinged > 0 && seen >= h.pinged {
		h.pinged = 0
	}
	if h.pinged > 0 && now-h.pinged >= p.s.opts.HeartbeatTimeout || h.ttl > 0 && now-seen >= h.ttl {
		p.kill(ErrHeartbeat)
		return
	}
	if h.nextPing > 0 && now >= h.nextPing {
		p.control(zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendPing(nil, p.s.opts.HeartbeatTTL, nil)))
		h.nextPing = now + p.s.opts.Heartbeat
		if h.pinged == 0 {
			h.pinged = now
		}
	}
	h.arm(p, now)
}

func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
