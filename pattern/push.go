package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Push shares messages out among its peers, which are [Pull] sockets: each message goes to one of them, in turn (30/PIPELINE).
type Push struct {
	socket
	balancer balancer
}

// NewPush makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewPush(o *Options) *Push {
	s := &Push{}
	s.balancer.s = &s.socket
	s.init(zmtp.Push, o, &s.balancer)
	return s
}

// Send queues a message of the parts for the next peer in turn that has room. No parts
// at all are one empty part. It blocks while there is no peer or none has room, until ctx ends
// (the message is then not sent) or the socket is closed ([net.ErrClosed]). The parts are the caller's again
// when it returns. Errors are [*net.OpError]. It may be called at once.
func (s *Push) Send(ctx context.Context, parts ...[]byte) error {
	return s.balancer.share(ctx, parts)
}
