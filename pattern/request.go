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
	few     [32]byte // where head fits in
}

// Peer describes the peer that asks.
func (r *Request) Peer() PeerInfo { return r.peer.info() }

// Reply queues the reply, which never blocks: a peer that leaves its replies unread isn't received from. A
// request has one reply; another is [ErrReplied]. Where the peer has gone the error is [ErrUnroutable],
// counted. The parts are the caller's again when it returns.
func (r *Request) Reply(parts ...[]byte) error {
	s := r.peer.s
	if r.replied.Swap(true) {
		return s.fail("send", ErrReplied)
	}
	if s.closing.Load() {
		return s.fail("send", net.ErrClosed)
	}
	m := message(parts)
	m.frames, m.forced = r.head, true
	m.size += len(r.head)
	v, j := r.peer.enqueue(&m)
	if v == gone {
		s.count(func(st *Stats) { st.Unroutable++ })
		return s.fail("send", ErrUnroutable)
	}
	r.peer.work(j, &m)
	s.inbox.holdBack(r.peer)
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
		request := &Request{}
		if r.open(m, request) {
			request.Parts = m.keep()
			return request, nil
		}
	}
}

// open makes a request of m, whose Parts are then the body alone. Where m is none it is released.
func (r *replier) open(m *Message, request *Request) bool {
	for i, part := range m.Parts {
		if len(part) > 0 {
			continue
		}
		request.peer, request.head = m.peer, request.few[:0]
		for _, part := range m.Parts[:i+1] {
			request.head = zmtp.AppendFrame(request.head, zmtp.FlagMore, part)
		}
		m.Parts = m.Parts[i+1:]
		return true
	}
	p := m.peer
	m.Release()
	r.s.dropped(p, 1, ErrNoDelimiter)
	return false
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
	var request Request
	if !r.open(m, &request) {
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
		_ = request.Reply(reply) // a peer that has gone is counted
	}
}
