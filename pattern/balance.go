package pattern

import (
	"context"
	"math"
	"net"
	"slices"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A balancer shares messages out among peers: to each in turn that has room. It is the routing
// of the types that send so; those that receive otherwise than into the inbox override arrived.
type balancer struct {
	s *socket
	// moved is told that a message, as frames, lost its peer and went to p; or waits for one, where p is nil. mu is
	// held. It may be nil.
	moved func(frames []byte, p *peer)

	mu      sync.Mutex // guards what follows
	peers   []*peer
	next    int    // whose turn it is
	backlog []byte // messages, as frames, that lost their peer while there was no other
}

// send queues m with one of the peers. It waits while there is none, or none has room.
func (b *balancer) send(ctx context.Context, m *outgoing) error {
	if b.s.closing.Load() {
		return b.s.fail("send", net.ErrClosed)
	}
	p, j := b.try(m)
	if p == nil {
		err := b.await(ctx, func() bool {
			p, j = b.try(m)
			return p != nil
		})
		if err != nil {
			return err
		}
	}
	p.work(j, m)
	return nil
}

// await has try, which is send without waiting, succeed.
func (b *balancer) await(ctx context.Context, try func() bool) error {
	sent := false
	err := b.s.until(ctx, func() bool {
		if b.s.closing.Load() {
			return true
		}
		sent = try()
		return sent
	})
	if err == nil && !sent {
		err = net.ErrClosed
	}
	return b.s.fail("send", err)
}

// share is send for a program's parts.
func (b *balancer) share(ctx context.Context, parts [][]byte) error {
	m := message(parts)
	return b.send(ctx, &m)
}

// try is send without waiting.
func (b *balancer) try(m *outgoing) (*peer, job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pick(m)
}

// pick is try, with mu held.
func (b *balancer) pick(m *outgoing) (*peer, job) {
	for range b.peers {
		if b.next >= len(b.peers) {
			b.next = 0
		}
		p := b.peers[b.next]
		b.next++
		if v, j := p.enqueue(m, nil); v == queued {
			return p, j
		}
	}
	return nil, noJob
}

func (b *balancer) joined(p *peer) error {
	b.add(p, math.MaxInt)
	return nil
}

// add takes p in, unless there are as many peers as there may be, and gives it what waited for a peer.
func (b *balancer) add(p *peer, most int) bool {
	b.mu.Lock()
	room := len(b.peers) < most
	var backlog []byte
	if room {
		b.peers = append(b.peers, p)
		backlog, b.backlog = b.backlog, nil
	}
	b.mu.Unlock()
	b.resend(backlog)
	return room
}

// left gives p's unsent messages to the other peers, or keeps them for the next.
func (b *balancer) left(p *peer, unsent []byte) int {
	b.mu.Lock()
	b.peers = slices.DeleteFunc(b.peers, func(q *peer) bool { return q == p })
	b.mu.Unlock()
	b.resend(unsent)
	return 0
}

// resend shares out messages, as frames, even where there is no room: they have been accepted.
func (b *balancer) resend(frames []byte) {
	for len(frames) > 0 {
		var one []byte
		if one, frames = nextMessage(frames); one == nil {
			continue
		}
		m := outgoing{frames: one, size: len(one), forced: true}
		if p, j := b.move(&m); p != nil {
			p.work(j, &m)
		}
	}
}

// move queues m, which lost its peer, with another, or keeps it for the next.
func (b *balancer) move(m *outgoing) (*peer, job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, j := b.pick(m)
	if p == nil {
		b.backlog = append(b.backlog, m.frames...)
	}
	if b.moved != nil {
		b.moved(m.frames, p)
	}
	return p, j
}

// nextMessage takes the next message or command off frames. Of a command nothing is given.
func nextMessage(frames []byte) (one, rest []byte) {
	rest = frames
	for {
		var f zmtp.Flags
		if f, _, rest = cut(rest); f&zmtp.FlagCommand != 0 {
			return nil, rest
		} else if f&zmtp.FlagMore == 0 {
			return frames[:len(frames)-len(rest)], rest
		}
	}
}

func (b *balancer) arrived(p *peer, c *chunk) { b.s.inbox.put(p, c) }

func (b *balancer) command(*peer, zmtp.Command) error { return nil }

// kept gives how many messages wait for a peer to come.
func (b *balancer) kept() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return countMessages(b.backlog)
}
