package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A Sub receives what its peers, [Pub] and [XPub] sockets, publish and it has subscribed to, from each in turn (29/PUBSUB).
// At first it has subscribed to nothing.
//
// It is the publishers who leave out what nobody asked for (37/ZMTP, The Publish-Subscribe Pattern). A Sub looks
// again at what comes on a connection after an Unsubscribe, of which the publisher may not have
// heard, and at the first thousand messages of each connection, then at one in 64. From a publisher that
// sent something else it takes only what it asked for from then on.
type Sub struct {
	socket
	interest interest
}

// NewSub makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewSub(o *Options) *Sub {
	s := &Sub{interest: interest{filter: true}}
	s.interest.s = &s.socket
	s.init(zmtp.Sub, o, &s.interest)
	return s
}

// Subscribe asks every publisher, those that come later too, for the messages whose first part begins with prefix; the empty prefix
// is all messages. It doesn't wait for them to hear of it. Two subscriptions to one prefix take two
// calls of Unsubscribe. The error is [net.ErrClosed]. It may be called at once.
func (s *Sub) Subscribe(prefix string) error {
	_, err := s.interest.subscribe([]byte(prefix), false, false)
	return err
}

// Unsubscribe takes one Subscribe back. Recv gives none of what nothing else asks for from then
// on, also of what has come already. The errors are [ErrNotSubscribed] and [net.ErrClosed]. It may be called at once.
func (s *Sub) Unsubscribe(prefix string) error {
	return s.interest.unsubscribe(prefix)
}

// Recv is as [Pull.Recv].
func (s *Sub) Recv(ctx context.Context) ([][]byte, error) {
	m, err := s.Borrow(ctx)
	if err != nil {
		return nil, err
	}
	return m.keep(), nil
}

// Borrow is as [Pull.Borrow].
func (s *Sub) Borrow(ctx context.Context) (*Message, error) {
	for {
		m, err := s.receive(ctx)
		if err != nil || s.interest.wanted(m) {
			return m, err
		}
		m.Release()
	}
}
