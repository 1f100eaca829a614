package pattern

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Req asks its peers, which are [Rep], [Server] and [Router] sockets, in turn, and waits for the reply (28/REQREP). Each peer
// has one request under way at a time, as with a REQ of libzmq; further ones wait until a peer is free. [Client] has many.
type Req struct {
	socket
	exchanges exchanges
}

// NewReq makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewReq(o *Options) *Req {
	s := &Req{}
	s.exchanges.s = &s.socket
	s.init(zmtp.Req, o, &s.exchanges)
	return s
}

// errGivenUp is why the connection ends on which a reply is no longer waited for.
var errGivenUp = errors.New("the request was given up")

// Request sends a request of the parts to the next peer that has none under way, and waits for the reply, whose
// parts are the caller's to keep. It blocks until then, until ctx ends, or until the socket is closed
// ([net.ErrClosed]).
//
// Nothing on the wire tells the reply to one request from that to the next. So when ctx ends while a peer
// has the request, the connection to that peer ends, and is dialled again: a late reply is never taken for
// another. Where the peer is lost after it got the request the error is [ErrPeerLost]: it may or may not have handled it. A
// request that the peer can't have got goes to another. Errors are [*net.OpError]. It may be called at once.
func (s *Req) Request(ctx context.Context, parts ...[]byte) ([][]byte, error) {
	b := &s.exchanges
	m := message(parts)
	m.frames = []byte{byte(zmtp.FlagMore), 0}
	m.size += len(m.frames)
	for {
		x := &exchange{done: make(chan struct{}, 1)}
		p, err := b.send(ctx, &m, x)
		if err != nil {
			return nil, s.fail("send", err)
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			if b.end(p, x) {
				p.kill(errGivenUp)
				return nil, s.fail("receive", ctxError(ctx))
			}
			<-x.done
		}
		switch {
		case x.unsent:
		case s.closing.Load() && x.err != nil:
			return nil, s.fail("receive", net.ErrClosed)
		default:
			return x.reply, s.fail("receive", x.err)
		}
	}
}

// exchanges are the peers of a Req and what they were asked.
type exchanges struct {
	s *socket

	mu    sync.Mutex // guards what follows, and the peers' states
	peers []*peer
	next  int
}

// An exchange is a request under way, the state of the peer that has it. Whoever takes it from there fills it in and sends to done.
type exchange struct {
	done   chan struct{}
	reply  [][]byte
	err    error
	unsent bool // the peer went, and can't have got the request
}

// send queues m with a peer that has no exchange, which then has x.
func (b *exchanges) send(ctx context.Context, m *outgoing, x *exchange) (*peer, error) {
	if b.s.closing.Load() {
		return nil, net.ErrClosed
	}
	if p, j := b.try(m, x); p != nil {
		p.work(j, m)
		return p, nil
	}
	var p *peer
	var j job
	err := b.s.until(ctx, func() bool {
		if b.s.closing.Load() {
			return true
		}
		p, j = b.try(m, x)
		return p != nil
	})
	if err == nil && p == nil {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	p.work(j, m)
	return p, nil
}

func (b *exchanges) try(m *outgoing, x *exchange) (*peer, job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.peers {
		if b.next >= len(b.peers) {
			b.next = 0
		}
		p := b.peers[b.next]
		b.next++
		if p.state != nil {
			continue
		}
		if v, j := p.enqueue(m, nil); v == queued {
			p.state = x
			return p, j
		}
	}
	return nil, noJob
}

// end takes x from p. It is false where somebody else has done so.
func (b *exchanges) end(p *peer, x *exchange) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.state != x {
		return false
	}
	p.state = nil
	return true
}

// take takes the exchange that p has, or nil.
func (b *exchanges) take(p *peer) *exchange {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, _ := p.state.(*exchange)
	p.state = nil
	return x
}

func (b *exchanges) joined(p *peer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = append(b.peers, p)
	return nil
}

func (b *exchanges) left(p *peer, unsent []byte) int {
	b.mu.Lock()
	b.peers = slices.DeleteFunc(b.peers, func(q *peer) bool { return q == p })
	b.mu.Unlock()
	if x := b.take(p); x != nil {
		x.err, x.unsent = ErrPeerLost, countMessages(unsent) > 0
		x.done <- struct{}{}
	}
	return 0
}

func (b *exchanges) arrived(p *peer, c *chunk) {
	p.s.inbox.passed(p, c)
	c.each(func(parts [][]byte) {
		if len(parts[0]) > 0 {
			b.s.dropped(p, 1, ErrNoDelimiter)
			return
		}
		x := b.take(p)
		if x == nil {
			b.s.dropped(p, 1, ErrUnexpectedReply)
			return
		}
		x.reply = c.keepParts(parts[1:])
		x.done <- struct{}{}
		b.s.news.raise() // the peer can be asked again
	})
}

func (b *exchanges) command(*peer, zmtp.Command) error { return nil }
