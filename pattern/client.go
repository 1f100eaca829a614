package pattern

import (
	"context"
	"encoding/binary"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Client asks, with any number of requests under way at once, each of which
// goes to one of the peers in turn. It is a DEALER on the wire, and puts the number of the
// request before the empty delimiter, which a [Server], a ROUTER that echoes
// the envelope, and a [Rep] send back with the reply.
type Client struct {
	socket
	calls calls
}

// NewClient makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewClient(o *Options) *Client {
	s := &Client{}
	s.calls.s = &s.socket
	s.calls.resent = s.calls.moved
	s.calls.pending = map[uint64]*call{}
	s.init(zmtp.Dealer, o, &s.calls)
	s.onClose = s.calls.end
	return s
}

// Request sends a request of the parts and waits for its reply, whose parts are the caller's to keep. It blocks
// until then, until ctx ends, or until the socket is closed ([net.ErrClosed]). Where the peer is lost after
// it got the request the error is [ErrPeerLost]: it may or may not have handled it. A request that the peer can't have
// got goes to another. A reply that comes after ctx has ended is dropped, counted, and told
// as an event. Errors are [*net.OpError]. It may be called at once.
func (s *Client) Request(ctx context.Context, parts ...[]byte) ([][]byte, error) {
	b := &s.calls
	m := message(parts)
	c := b.begin()
	var head [12]byte
	m.frames = c.head(head[:0])
	m.size += len(m.frames)
	p, err := b.send(ctx, &m)
	if err != nil {
		b.forget(c)
		return nil, err
	}
	b.assign(c, p)
	if ended := ctx.Done(); ended == nil {
		<-c.done // a plain receive costs half of a select
	} else {
		select {
		case <-c.done:
		case <-ended:
			if b.forget(c) {
				return nil, s.fail("receive", ctxError(ctx))
			}
			<-c.done // it was answered just now
		}
	}
	reply, err := c.reply, c.err
	b.recycle(c)
	return reply, s.fail("receive", err)
}

// calls are the requests under way of a Client.
type calls struct {
	balancer

	callsMu sync.Mutex // guards what follows
	pending map[uint64]*call
	last    uint64
	free    []*call
	ended   bool
}

// A call is one request under way. Whoever takes it from pending fills in reply or err and sends to done.
type call struct {
	id    uint64 // 0 once it was taken
	peer  *peer  // who has it; nil while that isn't known
	done  chan struct{}
	reply [][]byte
	err   error
}

// head appends the envelope of c, as frames.
func (c *call) head(dst []byte) []byte {
	dst = append(dst, byte(zmtp.FlagMore), 8)
	dst = binary.BigEndian.AppendUint64(dst, c.id)
	return append(dst, byte(zmtp.FlagMore), 0)
}

// begin registers a call before it is sent, for the reply may be faster than what follows.
func (b *calls) begin() *call {
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	b.last++
	var c *call
	if n := len(b.free); n > 0 {
		c, b.free = b.free[n-1], b.free[:n-1]
	} else {
		c = &call{done: make(chan struct{}, 1)}
	}
	c.id = b.last
	b.pending[c.id] = c
	return c
}

// recycle keeps c, which is done, for another request.
func (b *calls) recycle(c *call) {
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	c.peer, c.reply, c.err = nil, nil, nil
	if len(b.free) < DefaultHighWater {
		b.free = append(b.free, c)
	}
}

// forget gives c up. It is false where c is being answered.
func (b *calls) forget(c *call) bool {
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	pending := c.id != 0
	b.take(c)
	return pending
}

// take takes c from pending, if it is there. callsMu is held.
func (b *calls) take(c *call) {
	delete(b.pending, c.id)
	c.id = 0
}

// assign notes that p has the request, unless it was moved to another meanwhile.
func (b *calls) assign(c *call, p *peer) {
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	if c.id != 0 && c.peer == nil {
		b.give(c, p)
	}
}

// give is assign for a call that is pending. callsMu is held.
func (b *calls) give(c *call, p *peer) {
	c.peer = p
	if p != nil && p.state == callsLost {
		b.fail(c, ErrPeerLost)
	} else if b.ended {
		b.fail(c, net.ErrClosed)
	}
}

// callsLost is the state of a peer that has left.
var callsLost any = "lost"

// fail ends c with err. callsMu is held.
func (b *calls) fail(c *call, err error) {
	b.take(c)
	c.err = err
	c.done <- struct{}{}
}

// moved notes that a request, as frames, lost its peer and went to p; or waits for one, where p is nil.
func (b *calls) moved(frames []byte, p *peer) {
	_, id, _ := cut(frames)
	if len(id) != 8 {
		return
	}
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	if c := b.pending[binary.BigEndian.Uint64(id)]; c != nil {
		b.give(c, p)
	}
}

func (b *calls) left(p *peer, unsent []byte) int {
	b.balancer.left(p, unsent)
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	p.state = callsLost
	for _, c := range b.pending {
		if c.peer == p {
			b.fail(c, ErrPeerLost)
		}
	}
	return 0
}

// end fails what is under way when the socket is closed.
func (b *calls) end() {
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	b.ended = true
	for _, c := range b.pending {
		if c.peer != nil {
			b.fail(c, net.ErrClosed)
		}
	}
}

// arrived gives the replies to those who wait for them.
func (b *calls) arrived(p *peer, c *chunk) {
	p.s.inbox.passed(p, c)
	c.each(func(parts [][]byte) {
		if len(parts) < 2 || len(parts[1]) > 0 {
			b.s.dropped(p, 1, ErrNoDelimiter)
			return
		}
		call := b.answered(p, parts[0])
		if call == nil {
			b.s.dropped(p, 1, ErrUnexpectedReply)
			return
		}
		call.reply = c.keepParts(parts[2:])
		call.done <- struct{}{}
	})
}

// answered takes the call of that id from pending. It is nil where p has no such call.
func (b *calls) answered(p *peer, id []byte) *call {
	if len(id) != 8 {
		return nil
	}
	b.callsMu.Lock()
	defer b.callsMu.Unlock()
	c := b.pending[binary.BigEndian.Uint64(id)]
	if c == nil || c.peer != nil && c.peer != p {
		return nil
	}
	b.take(c)
	return c
}
