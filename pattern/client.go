package pattern

import (
	"context"

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
	s.calls.moved = s.calls.reassign
	s.init(zmtp.Dealer, o, &s.calls)
	s.onClose = s.calls.end
	return s
}

// Request sends a request of the parts and waits for its reply, whose parts are the caller's to keep. It blocks
// until then, until ctx ends, or until the socket is closed ([net.ErrClosed]). Where the peer is lost after
// it got the request the error is [ErrPeerLost]: it may or may not have handled it. A request that the peer can't have
// got goes to another. A reply that comes after ctx has ended is dropped, counted, and told
// as an event. Errors are [*net.OpError]. It may be called at once.
//
// Small replies that come together share memory: one that is kept may hold 1.5 KiB.
func (s *Client) Request(ctx context.Context, parts ...[]byte) ([][]byte, error) {
	b := &s.calls
	c := b.idleCall()
	m := message(parts)
	var head [callHead]byte
	m.frames = head[:]
	m.size += len(m.frames)
	if err := b.send(ctx, &m, c); err != nil {
		b.recycle(c)
		return nil, err
	}
	if ended := ctx.Done(); ended == nil || c.watched {
		<-c.done // a plain receive costs half of a select
	} else {
		select {
		case <-c.done:
		case <-ended:
			if b.forget(c) {
				b.recycle(c)
				return nil, s.fail("receive", ctxError(ctx))
			}
			<-c.done // it was answered just now
		}
	}
	reply, err := c.reply, c.err
	b.recycle(c)
	if err == errGivenUp {
		err = ctxError(ctx)
	}
	return reply, s.fail("receive", err)
}
