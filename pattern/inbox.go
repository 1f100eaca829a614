package pattern

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// An inbox is where the messages of all peers wait to be received. It takes them in turn from
// the peers that have any.
type inbox struct {
	highWater, maxBytes int
	addressed           bool // the peer's identity goes before each message's parts
	// ahead makes a message of what goes before the peers', if there is any. mu is held. Nil is nothing.
	ahead func(*Message) bool

	mu      sync.Mutex // guards what follows, and the peers' arrivals
	arrived wait.Gate
	active  fifo[*peer] // those that have messages
	waiting int         // their messages
	aside   int         // messages of peers that are skipped
	counts  Counters    // of all peers that there ever were
	closed  bool
	pausing bool    // what was read is put, and no more is read
	paused  []*peer // whose readers wait for the end of that
}

// arrivals are a peer's part of the inbox, whose mutex guards them.
type arrivals struct {
	chunks  fifo[*chunk]
	msgs    int
	bytes   int
	stalled bool // the reader waits for room
	held    bool // nothing is to be taken, for the outbound queue is full
	skipped bool // and so it is not among the active, though it has messages
	room    wait.Gate
	paused  bool // it is among those of the inbox
	counts  Counters
}

// full reports whether p may not be read further.
func (q *inbox) full(p *peer) bool {
	return p.in.msgs >= q.highWater || p.in.bytes >= q.maxBytes
}

// put adds c, which is of p, then waits while p has too much there. It is p's reader's.
func (q *inbox) put(p *peer, c *chunk) {
	c = c.compacted()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.counts.Dropped += uint64(c.msgs)
		c.free()
		return
	}
	p.in.chunks.push(c)
	q.added(p, c)
	for (q.pausing || q.full(p)) && !q.closed && !p.isDead() {
		if q.pausing && !p.in.paused {
			p.in.paused = true
			q.paused = append(q.paused, p)
		}
		p.in.stalled = true
		p.in.room.Wait(context.Background(), &q.mu)
	}
	p.in.stalled = false
}

// added counts c, which is among p's chunks now.
func (q *inbox) added(p *peer, c *chunk) {
	if p.in.chunks.len() == 1 {
		if p.in.skipped = p.in.held; !p.in.skipped {
			q.active.push(p)
		}
	}
	p.in.msgs += c.msgs
	p.in.bytes += len(c.buf)
	if p.in.skipped {
		q.aside += c.msgs
	} else {
		q.waiting += c.msgs
		q.arrived.Open()
	}
}

// take waits for the next message. The errors are ctx's and [net.ErrClosed].
func (q *inbox) take(ctx context.Context) (*Message, error) {
	m := messages.Get().(*Message)
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.ready() {
		if q.closed {
			q.arrived.Open() // the next waiter looks for itself
			return nil, net.ErrClosed
		}
		if ctx.Err() != nil {
			return nil, ctxError(ctx)
		}
		q.resume()
		q.arrived.Wait(ctx, &q.mu)
	}
	q.next(m)
	if q.waiting > 0 {
		q.arrived.Open()
	}
	return m, nil
}

// pause lets no more be read of any peer, until take waits again.
func (q *inbox) pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pausing = true
}

// resume ends a pause. q.mu is held.
func (q *inbox) resume() {
	q.pausing = false
	for _, p := range q.paused {
		p.in.paused = false
		p.in.room.Open()
	}
	q.paused = nil
}

// putBack makes m, which was taken and is not used any more, the first of its peer's messages again.
func (q *inbox) putBack(m *Message) {
	parts := m.Parts
	if q.addressed {
		parts = parts[1:]
	}
	frames := message(parts)
	c := &chunk{buf: frames.appendTo(make([]byte, 0, frames.size)), sifted: m.chunk.sifted}
	c.seal(1)
	p, counted := m.peer, m.chunk.buf != nil // what went ahead was not
	m.Release()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	p.in.chunks.unpop(c)
	q.added(p, c)
	if !counted {
		return
	}
	p.in.counts.Received--
	p.in.counts.ReceivedBytes -= uint64(frames.size)
	q.counts.Received--
	q.counts.ReceivedBytes -= uint64(frames.size)
}

// ready reports whether there is a message to take, and puts aside the peers that are held back.
func (q *inbox) ready() bool {
	for q.waiting > 0 {
		if q.active.len() == 0 {
			return true // something goes ahead
		}
		p := q.active.first()
		if !p.in.held {
			return true
		}
		q.active.pop()
		p.in.skipped = true
		q.waiting -= p.in.msgs
		q.aside += p.in.msgs
	}
	return false
}

// next cuts the next message from the first active peer's first chunk into m.
func (q *inbox) next(m *Message) {
	if q.ahead != nil && q.ahead(m) {
		q.waiting--
		return
	}
	p := q.active.first()
	c := p.in.chunks.first()
	took := q.cutInto(m, p, c)
	q.waiting--
	p.in.msgs--
	p.in.bytes -= took
	if m.last {
		p.in.chunks.pop()
	}
	if idle := p.in.chunks.len() == 0; idle || q.active.len() > 1 {
		q.active.pop()
		if !idle {
			q.active.push(p)
		}
	}
	if p.in.stalled && p.in.msgs <= q.highWater/2 && p.in.bytes <= q.maxBytes/2 {
		p.in.room.Open()
	}
}

// cutInto cuts the next message of c, which is of p, into m and gives its length as frames. q.mu is held.
func (q *inbox) cutInto(m *Message, p *peer, c *chunk) int {
	parts := m.few[:0]
	if q.addressed {
		parts = append(parts, p.identity)
	}
	var rest []byte
	m.Parts, rest = cutMessage(c.buf[c.off:], parts)
	m.peer, m.chunk = p, c
	took := len(c.buf) - len(rest) - c.off
	c.off += took
	c.msgs--
	m.last = c.msgs == 0
	p.in.counts.Received++
	p.in.counts.ReceivedBytes += uint64(took)
	q.counts.Received++
	q.counts.ReceivedBytes += uint64(took)
	return took
}

// passed counts the messages of c, which is of p and isn't put here.
func (q *inbox) passed(p *peer, c *chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, counts := range []*Counters{&p.in.counts, &q.counts} {
		counts.Received += uint64(c.msgs)
		counts.ReceivedBytes += uint64(len(c.buf))
	}
}

// holdBack lets nothing be received from p while its outbound queue is over the high-water mark, so that
// a peer that leaves its replies unread is not given more of them.
func (q *inbox) holdBack(p *peer) {
	if !p.out.isFull(p) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	// It may have got room just now, and then nobody would let it go on.
	p.in.held = p.out.isFull(p)
}

// letGo ends what holdBack began.
func (q *inbox) letGo(p *peer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unhold(p)
}

func (q *inbox) unhold(p *peer) {
	p.in.held = false
	if p.in.skipped {
		p.in.skipped = false
		q.active.push(p)
		q.waiting += p.in.msgs
		q.aside -= p.in.msgs
		q.arrived.Open()
	}
}

// isStalled reports whether p isn't read, for it has too much in the inbox.
func (q *inbox) isStalled(p *peer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return p.in.stalled
}

// length gives how many messages can be taken.
func (q *inbox) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// wake lets p's reader see that p is dead.
func (q *inbox) wake(p *peer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.unhold(p)
	}
	p.in.room.Open()
}

// close ends all waits, and drops and counts what nobody took.
func (q *inbox) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.active.len() > 0 {
		p := q.active.pop()
		p.in.chunks, p.in.msgs, p.in.bytes = fifo[*chunk]{}, 0, 0 // a borrower may hold their memory: the collector takes it
		p.in.room.Open()
	}
	q.counts.Dropped += uint64(q.waiting + q.aside)
	q.waiting, q.aside = 0, 0
	q.arrived.Open()
}

// A fifo is a queue that reuses its memory. The zero value is empty.
type fifo[T any] struct {
	items []T
	head  int // index of the first
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) first() T { return f.items[f.head] }

func (f *fifo[T]) push(item T) {
	if f.head > len(f.items)/2 && len(f.items) == cap(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

func (f *fifo[T]) pop() T {
	var none T
	item := f.items[f.head]
	f.items[f.head] = none
	if f.head++; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return item
}

// unpop puts item before the first.
func (f *fifo[T]) unpop(item T) {
	if f.head == 0 {
		f.items = slices.Insert(f.items, 0, item)
		return
	}
	f.head--
	f.items[f.head] = item
}
