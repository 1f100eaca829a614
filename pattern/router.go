package pattern

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Router talks to each of its peers by identity (28/REQREP): the first part of every message is the
// identity of the peer that it came from, or goes to. A peer that has none gets one: a byte 0
// and four more. The peers are [Req], [Dealer] and Router sockets.
type Router struct {
	socket
	receiver
	routes routes
}

// NewRouter makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewRouter(o *Options) *Router {
	s := &Router{}
	s.s, s.routes.s = &s.socket, &s.socket
	s.routes.made = rand.Uint32()
	s.inbox.addressed = true
	s.init(zmtp.Router, o, &s.routes)
	return s
}

// Send queues a message of parts[1:] for the peer with the identity parts[0]. It blocks while that
// peer's queue is full, until ctx ends or the socket is closed. Where there is no such peer the error
// is [ErrUnroutable], unless [Options.DropUnroutable]; so it is without an identity. No parts behind the identity
// are one empty part. The rest is as for [Push.Send].
func (s *Router) Send(ctx context.Context, parts ...[]byte) error {
	if len(parts) == 0 {
		return s.fail("send", ErrUnroutable)
	}
	m := message(parts[1:])
	err := s.sendTo(ctx, s.routes.find(parts[0]), &m)
	if s.opts.DropUnroutable && errors.Is(err, ErrUnroutable) {
		return nil
	}
	return err
}

// sendTo queues m for p. It blocks while its queue is full. A p that is nil, or gone, is [ErrUnroutable].
func (s *socket) sendTo(ctx context.Context, p *peer, m *outgoing) error {
	if s.closing.Load() {
		return s.fail("send", net.ErrClosed)
	}
	v, j := gone, noJob
	if p != nil {
		v, j = p.enqueue(m, nil)
	}
	if v == noRoom {
		err := s.until(ctx, func() bool {
			v, j = p.enqueue(m, nil)
			return v != noRoom || s.closing.Load()
		})
		if err == nil && v == noRoom {
			err = net.ErrClosed
		}
		if err != nil {
			return s.fail("send", err)
		}
	}
	if v == gone {
		s.count(func(st *Stats) { st.Unroutable++ })
		return s.fail("send", ErrUnroutable)
	}
	p.work(j, m)
	return nil
}

// routes are the peers of a Router by identity.
type routes struct {
	collector

	mu    sync.Mutex // guards what follows
	peers map[string]*peer
	made  uint32 // the last identity that was made up
}

func (r *routes) find(identity []byte) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[string(identity)]
}

func (r *routes) joined(p *peer) error {
	old, err := r.add(p)
	if old != nil {
		old.kill(ErrDuplicateIdentity)
	}
	return err
}

// add takes p in, and gives the peer whose identity p takes over.
func (r *routes) add(p *peer) (old *peer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.identity = p.session.Peer().Identity
	for len(p.identity) == 0 {
		r.made++
		made := binary.BigEndian.AppendUint32([]byte{0}, r.made)
		if r.peers[string(made)] == nil {
			p.identity = made
		}
	}
	old = r.peers[string(p.identity)]
	if old != nil && !r.s.opts.Handover {
		return nil, ErrDuplicateIdentity
	}
	if r.peers == nil {
		r.peers = map[string]*peer{}
	}
	r.peers[string(p.identity)] = p
	return old, nil
}

func (r *routes) left(p *peer, unsent []byte) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers[string(p.identity)] == p {
		delete(r.peers, string(p.identity))
	}
	return countMessages(unsent)
}
