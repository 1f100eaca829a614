package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Dealer sends each message to one of its peers, in turn, and receives from all of them, in turn. Its peers are
// [Router], [Rep] and Dealer sockets (28/REQREP). To a Rep the parts begin with an
// envelope that ends with an empty part; [Client] does that by itself.
type Dealer struct {
	socket
	receiver
	balancer balancer
}

// NewDealer makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewDealer(o *Options) *Dealer {
	s := &Dealer{}
	s.s, s.balancer.s = &s.socket, &s.socket
	s.init(zmtp.Dealer, o, &s.balancer)
	return s
}

// Send is as [Push.Send].
func (s *Dealer) Send(ctx context.Context, parts ...[]byte) error {
	return s.balancer.share(ctx, parts)
}
