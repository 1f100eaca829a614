package pattern

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Request is one that a [Rep] or a [Server] received.
type Request struct {
	// Parts are the request's, without the envelope, and the caller's to keep.
	Parts [][]byte

	peer    *peer
	head    []byte // the envelope and its delimiter, as frames, which the reply begins with
	replied atomic.Bool
}

// Peer describes the peer that asks.
func (r *Request) Peer() PeerInfo { return r.peer.info() }

// Reply queues the reply, which never blocks: a peer that leaves its replies unread isn't received from. A
// request has one reply; another is [ErrReplied]. Where the peer has gone the error is [ErrUnroutable],
// counted. The parts are the caller's again when it returns.
func (r *Request) Reply(parts ...[]byte) error {
	if r.replied.Swap(true) {
		return r.peer.s.fail("send", ErrReplied)
	}
	return r.peer.reply(r.head, parts)
}

// reply queues a reply that begins with head, even where there is no room.
func (p *peer) reply(head []byte, parts [][]byte) error {
	if p.s.closing.Load() {
		return p.s.fail("send", net.ErrClosed)
	}
	m := message(parts)
	m.frames, m.forced = head, true
	m.size += len(head)
	v, j := p.enqueue(&m, nil)
	if v == gone {
		p.s.count(func(st *Stats) { st.Unroutable++ })
		return p.s.fail("send", ErrUnroutable)
	}
	p.work(j, &m)
	p.s.inbox.holdBack(p)
	return nil
}

// Refuse ends the connection of the peer that asked, whose other requests go with it: it learns that there is no reply, where it
// would else wait. err is told as the reason, in [EventDisconnected]. After a Reply it does nothing.
func (r *Request) Refuse(err error) {
	if !r.replied.Swap(true) {
		r.peer.kill(err)
	}
}

// A replier is what receives requests and answers them.
type replier struct{ s *socket }

// Recv waits for the next request. Any number of requests may be open at once, of one peer too. It
// blocks until there is one, ctx ends, or the socket is closed ([net.ErrClosed]). A message without the empty
// delimiter is dropped, counted, and told as an event. Errors are [*net.OpError].
func (r *replier) Recv(ctx context.Context) (*Request, error) {
	for {
		m, err := r.s.receive(ctx)
		if err != nil {
			return nil, err
		}
		if head, ok := r.open(m, make([]byte, 0, 32)); ok {
			request := &Request{peer: m.peer, head: head}
			request.Parts = m.keep()
			return request, nil
		}
	}
}

// open takes the envelope and its delimiter off a request's parts, and appends them to head, as frames. What is no
// request is released.
func (r *replier) open(m *Message, head []byte) (_ []byte, ok bool) {
	for i, part := range m.Parts {
		if len(part) > 0 {
			continue
		}
		for _, part := range m.Parts[:i+1] {
			head = zmtp.AppendFrame(head, zmtp.FlagMore, part)
		}
		m.Parts = m.Parts[i+1:]
		return head, true
	}
	p := m.peer
	m.Release()
	r.s.dropped(p, 1, ErrNoDelimiter)
	return nil, false
}

// Serve answers each request with what handle gives, up to [Options.Handlers] at once, until ctx ends or
// the socket is closed ([net.ErrClosed]). When ctx ends, what has arrived until then is still answered, and Serve
// gives ctx's error once that is done; Close, with a Linger, then sends it.
//
// A request's parts are joined into one. request is valid until the handler returns, which may overwrite
// it and give a part of it as the reply. A nil reply sends nothing; an error ends
// the connection of the peer that asked. The handlers' ctx has ctx's values and doesn't end with it.
func (r *replier) Serve(ctx context.Context, handle func(ctx context.Context, request []byte) (reply []byte, err error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	inner := context.WithoutCancel(ctx)
	slots := make(chan struct{}, r.s.opts.Handlers)
	left := -1 // how many are to be answered yet, once ctx has ended
	for {
		if left < 0 && ctx.Err() != nil {
			left = r.s.inbox.length()
		}
		if left == 0 {
			return r.s.fail("receive", ctxError(ctx))
		}
		if left > 0 {
			left--
		}
		m, err := r.s.receive(ctx)
		if err != nil {
			return err
		}
		if r.s.opts.Handlers == 1 {
			r.answer(inner, m, handle)
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			r.answer(inner, m, handle)
			<-slots
		})
	}
}

func (r *replier) answer(ctx context.Context, m *Message, handle func(context.Context, []byte) ([]byte, error)) {
	var few [32]byte // most envelopes are no longer
	head, ok := r.open(m, few[:0])
	if !ok {
		return
	}
	defer m.Release()
	var body []byte
	if len(m.Parts) == 1 {
		body = m.Parts[0]
	} else {
		body = bytes.Join(m.Parts, nil)
	}
	reply, err := handle(ctx, body)
	if err != nil {
		m.peer.kill(err)
	} else if reply != nil {
		_ = m.peer.reply(head, [][]byte{reply}) // a peer that has gone is counted
	}
}
