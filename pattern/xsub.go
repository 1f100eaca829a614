package pattern

import (
	"context"
	"net"

	"github.com/tincan-ipc/tincan/zmtp"
)

// An XSub is a [Sub] that also sends: messages to its publishers, which an [XPub] receives (29/PUBSUB). It receives all that
// they send, and doesn't look again whether it has subscribed to that.
type XSub struct {
	socket
	receiver
	interest interest
}

// NewXSub makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewXSub(o *Options) *XSub {
	s := &XSub{}
	s.receiver, s.interest.s = receiver{&s.socket}, &s.socket
	s.init(zmtp.XSub, o, &s.interest)
	return s
}

// Subscribe is as [Sub.Subscribe]. With [Options.Verbose] publishers hear of every call.
func (s *XSub) Subscribe(prefix string) error {
	_, err := s.interest.subscribe([]byte(prefix), false, s.opts.Verbose)
	return err
}

// Unsubscribe takes one Subscribe back. What has come already is received still.
// The errors are [ErrNotSubscribed] and [net.ErrClosed]. It may be called at once.
func (s *XSub) Unsubscribe(prefix string) error {
	return s.interest.unsubscribe(prefix)
}

// Send sends a message to every publisher. It never blocks: for one whose queue is full it is dropped, as by [Pub.Send].
//
// A message of one part that begins with a byte 1 is a subscription to what follows, one with 0 a cancellation, as an [XPub] receives
// them and as with libzmq. A cancellation of what wasn't subscribed to is nothing.
// The error is [net.ErrClosed], in a [*net.OpError]. It may be called at once.
func (s *XSub) Send(_ context.Context, parts ...[]byte) error {
	if s.closing.Load() {
		return s.fail("send", net.ErrClosed)
	}
	if len(parts) == 1 {
		if sub, ok := zmtp.ParseSubscription(0, parts[0]); ok {
			_, err := s.interest.subscribe(sub.Topic, sub.Cancel, s.opts.Verbose)
			return err
		}
	}
	m := message(parts)
	s.interest.sendUpstream(&m)
	return nil
}
