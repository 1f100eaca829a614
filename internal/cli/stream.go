package cli

import (
	"context"
	"io"
	"net"

	"github.com/tincan-ipc/tincan"
)

// newStream is a session over a byte stream, between in and out and conn.
func newStream(p *program, f *sessionFlags, e *tincan.Endpoint, conn net.Conn, in io.Reader, out io.Writer) *session {
	s := newSession(p, f, e, conn)
	s.send = func(ctx context.Context) half {
		if s.sentTap.plain() && kernelCopies(conn, in) {
			s.sending.Lock()
			defer s.sending.Unlock()
			return copyInKernel(conn, in, s.sentTap)
		}
		return copyStream(ctx, &sender{session: s, conn: conn}, in, s.sentTap)
	}
	s.receive = func(ctx context.Context) half { return copyStream(ctx, out, conn, s.receivedTap) }
	return s
}

// sender is the writing side of a session's byte stream. It lets no
// half-close come between the bytes of one write.
type sender struct {
	session *session
	conn    net.Conn
}

func (s *sender) Write(b []byte) (int, error) {
	s.session.sending.Lock()
	defer s.session.sending.Unlock()
	if s.session.inEnded {
		return 0, net.ErrClosed
	}
	return s.conn.Write(b)
}
