package tincan

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// Cred are the credentials of a local peer, as of the time it connected.
type Cred struct {
	UID, GID uint32
	// PID is the peer's process, 0 where the system doesn't tell.
	PID int
}

// as looks for an ability T in c and in the connections that wrappers of this
// toolkit hold: Unwrap for those that add nothing to the stream, and where
// deep is set NetConn as well, for abilities of the socket beneath a TLS or WebSocket layer.
func as[T any](c Conn, deep bool) (T, bool) {
	for c != nil {
		if t, ok := c.(T); ok {
			return t, true
		}
		switch w := c.(type) {
		case interface{ Unwrap() Conn }:
			c = w.Unwrap()
		case interface{ Unwrap() net.Conn }: // package frame, which does not know Conn
			c = w.Unwrap()
		case interface{ NetConn() net.Conn }:
			if !deep {
				c = nil
			} else {
				c = w.NetConn()
			}
		default:
			c = nil
		}
	}
	var none T
	return none, false
}

// opError tells which operation of c failed.
func opError(op string, c Conn, err error) error {
	var opErr *net.OpError
	if err == nil || errors.As(err, &opErr) {
		return err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// CloseWrite half-closes c: the peer reads [io.EOF] and c can still read.
// TLS sends close_notify. Where the family has no half-close, as with
// datagrams and WebSocket, the error is [errors.ErrUnsupported].
func CloseWrite(c Conn) error {
	w, ok := as[interface{ CloseWrite() error }](c, false)
	if !ok {
		return opError("shutdown", c, errors.ErrUnsupported)
	}
	return opError("shutdown", c, w.CloseWrite())
}

// CloseRead ends c's reading side: a blocked and every later Read gives
// [io.EOF], and what the peer sends is discarded or refused, as the family does.
// Where the family has no such thing the error is [errors.ErrUnsupported].
func CloseRead(c Conn) error {
	r, ok := as[interface{ CloseRead() error }](c, false)
	if !ok {
		return opError("shutdown", c, errors.ErrUnsupported)
	}
	return opError("shutdown", c, r.CloseRead())
}

// Abort closes c at once, discarding what is queued, so that the peer's next
// read or write fails with a reset: a TCP RST through zero linger (RFC 9293
// §3.10.7; socket(7), SO_LINGER). Where the family has no reset the error is
// [errors.ErrUnsupported] and c is still open.
func Abort(c Conn) error {
	if a, ok := as[interface{ Abort() error }](c, true); ok {
		return opError("abort", c, a.Abort())
	}
	l, ok := as[interface{ SetLinger(sec int) error }](c, true)
	if !ok {
		return opError("abort", c, errors.ErrUnsupported)
	}
	if err := l.SetLinger(0); err != nil {
		return opError("abort", c, err)
	}
	// The socket is closed, not c: a layer such as TLS would first say goodbye.
	if s, ok := l.(net.Conn); ok {
		err := s.Close()
		_ = c.Close()
		return err
	}
	return c.Close()
}

// Handshake completes what must be agreed before bytes can flow on an
// accepted connection: the TLS or WebSocket handshake, bounded by ctx and by the
// endpoint's handshake-timeout. For other families, and when it is already
// done, it gives nil at once. A failure is a [*HandshakeError].
func Handshake(ctx context.Context, c Conn) error {
	if h, ok := as[interface{ Handshake(context.Context) error }](c, false); ok {
		return h.Handshake(ctx)
	}
	return nil
}

// SyscallConn gives the socket of c where what passes c passes the socket
// byte for byte, which system calls such as splice(2) need. For other
// connections, such as TLS, the error is [errors.ErrUnsupported].
func SyscallConn(c Conn) (syscall.RawConn, error) {
	s, ok := as[syscall.Conn](c, false)
	if !ok {
		return nil, opError("raw-control", c, errors.ErrUnsupported)
	}
	return s.SyscallConn()
}
