// Package urgent sends and receives TCP urgent data: one byte of a stream can
// be marked, and the receiver is told that a mark is on its way and where it is.
//
// Don't use it in anything new. RFC 6093 advises against it: TCP has one urgent
// pointer and so remembers only the latest mark, stacks disagreed for long about which
// byte it points to, and firewalls remove it. What remains are old protocols, such
// as telnet's Synch and the abort of FTP and rlogin. RFC 9293 §3.8.5 asks TCP to support it for them.
//
// The marked byte stays in the stream, in its place, as RFC 6093 §6 recommends
// (SO_OOBINLINE); without that, a stack takes it out of the stream and keeps a single one.
//
// It works on TCP of Linux, macOS and the BSDs. For any other connection, for
// TLS and WebSocket over TCP, where a byte of our own would break the layer above, and
// on Windows, which has another idea of the mark, the error is [errors.ErrUnsupported].
package urgent

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/tincan-ipc/tincan"
)

// Send sends b with the urgent mark, behind what was written to c before. Only
// one byte can be marked: when a second is sent before the peer has read the first,
// the first becomes an ordinary one. Send blocks while the peer's window is full, until c's
// write deadline. It may be called while a Write is under way, and then comes after it.
func Send(c tincan.Conn, b byte) error {
	raw, err := rawTCP(c)
	if err == nil {
		err = send(raw, b)
	}
	return opError("send", c, err)
}

// A Reader receives a stream with its marks.
type Reader struct {
	c   tincan.Conn
	raw syscall.RawConn
}

// NewReader prepares c, for good, to receive urgent bytes in their place. A byte that
// was marked and arrived before may be lost, so call it before the peer can send one. From
// then on read from the Reader alone: to c's own Read a marked byte looks like any other.
func NewReader(c tincan.Conn) (*Reader, error) {
	raw, err := rawTCP(c)
	if err == nil {
		err = receiveInline(raw)
	}
	if err != nil {
		return nil, opError("receive", c, err)
	}
	return &Reader{c, raw}, nil
}

// Receive reads into p: either ordinary bytes, as far as the mark at most, or,
// with urgent set, the marked byte alone. It blocks until there is something, until c's
// read deadline ([os.ErrDeadlineExceeded]) or until c is closed ([net.ErrClosed]).
// The peer's end is [io.EOF]. It may be called by several goroutines at once.
func (r *Reader) Receive(p []byte) (n int, urgent bool, err error) {
	if len(p) == 0 {
		return 0, false, nil
	}
	n, urgent, err = receive(r.raw, p)
	if n == 0 && err == nil {
		return 0, false, io.EOF
	}
	return n, urgent, opError("receive", r.c, err)
}

// Pending reports whether a marked byte has arrived that was not received yet. The old
// protocols then discard what comes before it. It does not block.
func (r *Reader) Pending() (bool, error) {
	there, err := pending(r.raw)
	return there, opError("receive", r.c, err)
}

// rawTCP gives the socket of c, if it is TCP's and nothing but wrappers that leave the bytes alone are above it.
func rawTCP(c tincan.Conn) (syscall.RawConn, error) {
	// A Unix socket of Linux takes MSG_OOB too, and means something of its own.
	if _, ok := c.LocalAddr().(*net.TCPAddr); !ok {
		return nil, errors.ErrUnsupported
	}
	return tincan.SyscallConn(c)
}

func opError(op string, c tincan.Conn, err error) error {
	if err == nil {
		return nil
	}
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		err = opErr.Err // the standard library says "raw-read", which helps nobody
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
