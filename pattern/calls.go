package pattern

import (
	"context"
	"encoding/binary"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// calls are the requests under way of a Client. The balancer's mutex guards them, too: a call has
// its peer, and its place in the table, before anybody can see the reply or the loss of that peer.
type calls struct {
	balancer

	idle  sync.Pool // of *call, which nobody waits for
	slots []slot    // mu guards what follows
	free  []uint32  // indices of slots, all but those with a call and those that are worn out
	watch watch
	ended bool
}

// A slot is a place in the table of calls. The number of a request is the slot's index and how many calls it had
// before, so that no two requests of a Client ever have the same number: a late reply finds no call.
type slot struct {
	uses uint32
	call *call // nil where there is none
}

// A call is one request under way. Whoever takes it from its slot fills in reply or err and sends to done.
type call struct {
	slot  uint32
	peer  *peer // who has it; nil while there is no peer for it
	done  chan struct{}
	reply [][]byte
	err   error

	watched bool // it is of the watch, which ends it with errGivenUp

	frames []byte // the reply's parts where they were read to, for the reader
	next   *call  // that was answered after it, for the reader
}

// idleCall gives a call that is in no slot.
func (b *calls) idleCall() *call {
	if c, ok := b.idle.Get().(*call); ok {
		return c
	}
	return &call{done: make(chan struct{}, 1)}
}

// recycle keeps c, which is in no slot and whose done is empty, for another request.
func (b *calls) recycle(c *call) {
	c.peer, c.reply, c.err, c.watched = nil, nil, nil, false
	b.idle.Put(c)
}

// callHead is the length of the envelope of a call, as frames.
const callHead = 12

// putHead writes the envelope of the call in the slot i to head.
func (b *calls) putHead(head []byte, i uint32) {
	head[0], head[1] = byte(zmtp.FlagMore), 8
	binary.BigEndian.PutUint64(head[2:], uint64(b.slots[i].uses)<<32|uint64(i))
	head[10], head[11] = byte(zmtp.FlagMore), 0
}

// send queues m, whose frames have room for the envelope, with one of the peers, as the request of c. It waits while
// there is none, or none has room.
func (b *calls) send(ctx context.Context, m *outgoing, c *call) error {
	p, j := b.try(ctx, m, c)
	if p == nil {
		err := b.await(ctx, func() bool {
			p, j = b.try(ctx, m, c)
			return p != nil
		})
		if err != nil {
			return err
		}
	}
	p.work(j, m)
	return nil
}

// try is send without waiting.
func (b *calls) try(ctx context.Context, m *outgoing, c *call) (*peer, job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, noJob
	}
	if len(b.free) == 0 {
		b.free = append(b.free, uint32(len(b.slots)))
		b.slots = append(b.slots, slot{})
	}
	last := len(b.free) - 1
	i := b.free[last]
	b.putHead(m.frames, i)
	p, j := b.pick(m)
	if p != nil {
		b.free = b.free[:last]
		b.slots[i].call = c
		c.slot, c.peer = i, p
		c.watched = b.watches(ctx)
	}
	return p, j
}

// take takes c from its slot. mu is held.
func (b *calls) take(c *call) {
	s := &b.slots[c.slot]
	s.call = nil
	if c.watched {
		b.watch.calls--
	}
	if s.uses++; s.uses != 0 { // else it is worn out: its numbers would come again
		b.free = append(b.free, c.slot)
	}
}

// find gives the call whose envelope begins with id, as long as it is in its slot. mu is held.
func (b *calls) find(id []byte) *call {
	if len(id) != 8 {
		return nil
	}
	uses, i := binary.BigEndian.Uint32(id), binary.BigEndian.Uint32(id[4:])
	if uint64(i) >= uint64(len(b.slots)) || b.slots[i].uses != uses {
		return nil
	}
	return b.slots[i].call
}

// forget gives c up. It is false where c is being answered.
func (b *calls) forget(c *call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits := b.slots[c.slot].call == c
	if waits {
		b.take(c)
	}
	return waits
}

// fail ends with err the calls that are so. mu is held.
func (b *calls) fail(err error, so func(*call) bool) {
	for _, s := range b.slots {
		if c := s.call; c != nil && so(c) {
			b.take(c)
			c.err = err
			c.done <- struct{}{}
		}
	}
}

// reassign notes that a request, as frames, lost its peer and went to p; or waits for one, where p is nil. mu is held.
func (b *calls) reassign(frames []byte, p *peer) {
	_, id, _ := cut(frames)
	if c := b.find(id); c != nil {
		c.peer = p
	}
}

func (b *calls) left(p *peer, unsent []byte) int {
	b.balancer.left(p, unsent)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail(ErrPeerLost, func(c *call) bool { return c.peer == p })
	return 0
}

// end fails what is under way when the socket is closed.
func (b *calls) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.fail(net.ErrClosed, func(*call) bool { return true })
	b.unwatch()
}

// arrived gives the replies to those who wait for them.
func (b *calls) arrived(p *peer, c *chunk) {
	p.s.inbox.passed(p, c)
	answered, stray, bare := b.answered(p, c.buf)
	b.s.dropped(p, stray, ErrUnexpectedReply)
	b.s.dropped(p, bare, ErrNoDelimiter)
	var s slab
	var few [4][]byte // most replies have no more parts
	for left := len(c.buf); answered != nil; {
		call := answered
		answered, call.next = call.next, nil
		parts := few[:0]
		if len(call.frames) > 0 {
			parts, _ = cutMessage(call.frames, parts)
		}
		if c.msgs == 1 {
			call.reply = c.keepParts(parts)
		} else {
			call.reply = s.clone(parts, left)
			left -= len(call.frames)
		}
		call.frames = nil
		call.done <- struct{}{} // from here on it is the caller's
	}
	c.free()
}

// answered takes the calls that messages of p, as frames, answer, and gives the first of them. It counts the messages
// that answer none, and those without a delimiter. One lock for all spares the callers from meeting the reader at each.
func (b *calls) answered(p *peer, frames []byte) (first *call, stray, bare int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for last := &first; len(frames) > 0; {
		var one, delimiter []byte
		one, frames = nextMessage(frames)
		_, id, rest := cut(one)
		delimited := len(rest) > 0
		if delimited {
			_, delimiter, rest = cut(rest)
		}
		if !delimited || len(delimiter) > 0 {
			bare++
			continue
		}
		c := b.find(id)
		if c == nil || c.peer != p {
			stray++
			continue
		}
		b.take(c)
		c.frames = rest
		*last, last = c, &c.next
	}
	return first, stray, bare
}
