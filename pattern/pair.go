package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Pair talks to one peer, another Pair (31/EXPAIR). While it has one others are refused with [ErrPaired].
type Pair struct {
	socket
	receiver
	routing pairing
}

// NewPair makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewPair(o *Options) *Pair {
	s := &Pair{}
	s.s, s.routing.s = &s.socket, &s.socket
	s.init(zmtp.Pair, o, &s.routing)
	return s
}

// Send queues a message for the peer. The rest is as for [Push.Send].
func (s *Pair) Send(ctx context.Context, parts ...[]byte) error {
	return s.routing.share(ctx, parts)
}

// pairing is a balancer with one peer.
type pairing struct{ balancer }

func (b *pairing) joined(p *peer) error {
	if !b.add(p, 1) {
		return ErrPaired
	}
	return nil
}
