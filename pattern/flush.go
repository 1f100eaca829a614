package pattern

import (
	"context"
	"net"
)

// Flush waits until the system has taken the last byte of every message that was sent before the call, and so of
// all where nobody sends meanwhile. It says nothing of whether a peer has read them. It blocks also while there is no
// peer that could have them, until ctx ends or the socket is closed ([net.ErrClosed]). Errors are [*net.OpError]. It may be called at once.
func (s *Push) Flush(ctx context.Context) error {
	err := s.until(ctx, func() bool { return s.closing.Load() || s.flush(ctx) })
	if err == nil && s.closing.Load() {
		err = net.ErrClosed
	}
	return s.fail("send", err)
}
