package pattern

import (
	"context"
	"net"
)

// send sends a message to those that subscribed to it. It waits only where none may miss it.
func (b *publisher) send(ctx context.Context, parts [][]byte) error {
	if b.s.closing.Load() {
		return b.s.fail("send", net.ErrClosed)
	}
	m := message(parts)
	if b.publish(&m) {
		return nil
	}
	err := b.s.until(ctx, func() bool { return b.s.closing.Load() || b.publish(&m) })
	if err == nil && b.s.closing.Load() {
		err = net.ErrClosed
	}
	return b.s.fail("send", err)
}

// publish queues m for all that want it. It gives false, and has done nothing, where one of them must not miss it
// and has no room.
func (b *publisher) publish(m *outgoing) bool {
	var few [1]debt
	owed, began, ok := b.deliver(m, few[:0])
	for _, d := range owed {
		d.p.work(d.job, m)
	}
	for _, p := range began {
		b.s.tellDropping(p)
		if b.s.opts.EndSlow {
			p.kill(ErrQueueFull)
		}
	}
	return ok
}

// sharedFrom is the length from which a message is encoded once, for all queues that have room for it. Shorter ones are copied into each, for many are
// written at once then, which pays more than a copy costs.
const sharedFrom = 8 << 10

// A debt is a job that a peer's queue is owed.
type debt struct {
	p   *peer
	job job
}

// deliver is publish but for what must be done without the lock: the jobs, which it appends to owed, and to
// tell of the peers for which a run of drops began.
func (b *publisher) deliver(m *outgoing, owed []debt) (_ []debt, began []*peer, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	subs := b.tree.match(m.parts[0])
	if len(subs) == 0 {
		return owed, nil, true
	}
	if b.s.opts.NoDrop {
		for _, s := range subs {
			if !s.fits(m.size) {
				return owed, nil, false
			}
		}
	}
	one := outgoing{parts: m.parts, size: m.size, forced: b.s.opts.NoDrop}
	var all encoding
	var once *encoding
	switch {
	case m.size >= sharedFrom && len(subs) > 1:
		once = &all
	case m.size < unbuffered:
		b.frames = m.appendTo(b.frames[:0])
		one.frames, one.parts = b.frames, nil
	}
	for _, s := range subs {
		if s.held {
			if s.holdBack(&one) {
				began = append(began, s.peer)
			}
			continue
		}
		s.room--
		s.roomBytes -= m.size
		j, first := s.offer(&one, once)
		if first {
			began = append(began, s.peer)
		}
		switch {
		case j == noJob:
		case j == startJob, j == writeJob && len(subs) > 1: // several writers are faster than the sender in turn
			s.peer.work(startJob, nil)
		default:
			owed = append(owed, debt{s.peer, j})
		}
	}
	return owed, began, true
}

// fits reports whether there is room for a message for s. Where there isn't, news follow when there is.
func (s *subscriber) fits(size int) bool {
	if s.held {
		return s.roomBack(size)
	}
	if s.room > 0 && s.roomBytes >= size {
		return true
	}
	q, o := &s.peer.out, &s.peer.s.opts
	q.mu.Lock()
	defer q.mu.Unlock()
	s.room, s.roomBytes = o.SendHighWater-q.msgs, o.SendBytes-q.bytes
	if s.room > 0 && s.roomBytes >= size || q.msgs == 0 || q.dead {
		return true
	}
	q.starved = true
	return false
}

// holdBack keeps m until the snapshot that s is being sent is complete. It reports whether a run of drops began.
func (s *subscriber) holdBack(m *outgoing) (began bool) {
	if !m.forced && !s.roomBack(m.size) {
		return s.drop()
	}
	s.back = m.appendTo(s.back)
	s.backMsgs++
	return false
}

func (s *subscriber) roomBack(size int) bool {
	o := &s.peer.s.opts
	return s.backMsgs == 0 || s.backMsgs < o.SendHighWater && len(s.back)+size <= o.SendBytes
}

// An outlet is a peer that misses the messages for which its queue has no room.
type outlet struct {
	peer     *peer
	dropping bool // it missed the last one
}

// offer queues m if there is room, as [peer.enqueue] does. It reports whether a run of drops began, which its caller is to tell without locks.
func (o *outlet) offer(m *outgoing, once *encoding) (j job, began bool) {
	v, j := o.peer.enqueue(m, once)
	switch v {
	case queued:
		o.dropping = false
	case noRoom:
		return noJob, o.drop()
	case gone:
	}
	return j, false
}

// drop counts a message that was dropped.
func (o *outlet) drop() (began bool) {
	q := &o.peer.out
	q.mu.Lock()
	q.counts.Dropped++
	q.mu.Unlock()
	began = !o.dropping
	o.dropping = true
	return began
}

// tellDropping tells that messages for p are being dropped: once for each run of them.
func (s *socket) tellDropping(p *peer) {
	s.tell(p.event(Event{Kind: EventDropped, Messages: 1, Err: ErrQueueFull}))
}
