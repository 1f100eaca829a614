package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// receive waits for the next message in the inbox.
func (s *socket) receive(ctx context.Context) (*Message, error) {
	m, err := s.inbox.take(ctx)
	if err != nil {
		return nil, s.fail("receive", err)
	}
	return m, nil
}

// A receiver is a socket whose peers' messages, in turn, are received as they are.
type receiver struct{ s *socket }

// Recv waits for the next message and gives its parts, which are the caller's to keep. It blocks until there
// is one, ctx ends, or the socket is closed ([net.ErrClosed]). Errors are [*net.OpError].
func (r *receiver) Recv(ctx context.Context) ([][]byte, error) {
	m, err := r.s.receive(ctx)
	if err != nil {
		return nil, err
	}
	return m.keep(), nil
}

// Borrow is Recv without copying: the message is valid until its Release, which the caller owes. While it is
// not released it holds the buffer that it came in, of up to 256 KiB or its own length.
func (r *receiver) Borrow(ctx context.Context) (*Message, error) {
	return r.s.receive(ctx)
}

// collector is the routing of what receives into the inbox, and shares nothing out.
type collector struct{ s *socket }

func (collector) joined(*peer) error { return nil }

func (collector) left(_ *peer, unsent []byte) int { return countMessages(unsent) }

func (c collector) arrived(p *peer, ch *chunk) { c.s.inbox.put(p, ch) }

func (collector) command(*peer, zmtp.Command) error { return nil }
