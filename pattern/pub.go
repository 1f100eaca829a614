package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Pub publishes: each message goes to all peers, [Sub] and [XSub] sockets, that have subscribed to what its
// first part begins with (29/PUBSUB). A message that nobody wants goes nowhere.
//
// A subscriber gets what is published from when its subscription has come in, which is a while after it
// subscribed; [Pub.WaitSubscribers] waits for that, and [Options.OnSubscribe] can send it what it missed.
type Pub struct {
	socket
	publisher publisher
}

// NewPub makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewPub(o *Options) *Pub {
	s := &Pub{}
	s.publisher.s = &s.socket
	s.init(zmtp.Pub, o, &s.publisher)
	return s
}

// Send queues a message of the parts for every peer that has subscribed to it. No parts at all are one empty
// part. It never blocks: for a peer whose queue is full the message is dropped, which is counted,
// and told by [EventDropped] at the beginning of a run of drops. With [Options.NoDrop] it
// waits instead until all those peers have room, ctx ends (the message is then sent to nobody) or the socket is
// closed ([net.ErrClosed]). The parts are the caller's again when it returns. Errors are [*net.OpError]. It may be called at once.
func (s *Pub) Send(ctx context.Context, parts ...[]byte) error {
	return s.publisher.send(ctx, parts)
}

// WaitSubscribers waits until there are n subscriptions: every topic of every peer is one. The
// errors are ctx's and [net.ErrClosed], in a [*net.OpError].
func (s *Pub) WaitSubscribers(ctx context.Context, n int) error {
	return s.publisher.waitSubscribers(ctx, n)
}
