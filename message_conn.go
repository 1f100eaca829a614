package tincan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxDatagram is the most that one UDP datagram carries over IPv4. It holds for
// IPv6 too, which takes 20 bytes more: what a name is resolved to must not decide what can be sent.
const maxDatagram = 65507

// Pauses of a writer whose peer's queue is full where the system doesn't tell when there is room.
const (
	minFullPause = 50 * time.Microsecond
	maxFullPause = 10 * time.Millisecond
)

// socket is what the sockets of the standard library have that carry messages.
type socket interface {
	net.Conn
	syscall.Conn
}

// messageConn is a connected socket that carries messages: udp, unixgram or unixpacket.
type messageConn struct {
	socket  socket
	raw     syscall.RawConn
	network string
	limit   int // of one message; 0: the system tells
	kind    messageKind
	end     func() error // closes the socket and what goes with it
	in, out direction
	noRuns  atomic.Bool //lint:ignore U1000 set on Linux where the system refuses to take several datagrams as one
}

// messageKind is how the end of a peer shows.
type messageKind int

const (
	datagrams messageKind = iota // not at all: an empty message is nothing else
	packets                      // as a message of length 0, more or less
)

// direction is one half of a messageConn.
type direction struct {
	mu    sync.Mutex // held for a call: one at a time is the rule, this keeps the memory of who breaks it
	guard ctxGuard
	call  systemCall //lint:ignore U1000 where the standard library makes the calls
}

// newMessageConn carries messages over s. end closes s, and with it what
// goes with it, such as a path or its place in a listener's count.
func newMessageConn(s socket, network string, kind messageKind, limit int, end func() error) (*messageConn, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &messageConn{socket: s, raw: raw, network: network, kind: kind, limit: limit, end: end}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	c.in.guard.setDeadline = s.SetReadDeadline
	c.out.guard.setDeadline = s.SetWriteDeadline
	return c, nil
}

// ReadMessage is as [MessageConn] says.
func (c *messageConn) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if err := c.in.guard.enter(ctx); err != nil {
		return 0, c.opError("read", err)
	}
	n, err := c.receive(buf)
	switch {
	case err == io.EOF:
		return 0, err
	case err != nil:
		return 0, c.opError("read", explain(ctx, err))
	case n > len(buf):
		return 0, c.opError("read", io.ErrShortBuffer)
	}
	return n, nil
}

// WriteMessage is as [MessageConn] says.
func (c *messageConn) WriteMessage(ctx context.Context, msg []byte) error {
	if c.limit > 0 && len(msg) > c.limit {
		return c.opError("write", fmt.Errorf("%w: %d bytes, at most %d", ErrMessageTooLong, len(msg), c.limit))
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if err := c.out.guard.enter(ctx); err != nil {
		return c.opError("write", err)
	}
	err := c.send(msg)
	for pause := minFullPause; err != nil && isFull(err); pause = min(2*pause, maxFullPause) {
		select {
		case <-time.After(pause):
			err = c.send(msg)
		case <-ctx.Done():
			err = ctxError(ctx)
		}
	}
	if err != nil {
		return c.opError("write", explain(ctx, err))
	}
	return nil
}

// WaitReadable is for the function [WaitReadable]: it shares the guard with ReadMessage.
func (c *messageConn) WaitReadable(ctx context.Context) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if err := c.in.guard.enter(ctx); err != nil {
		return c.opError("read", err)
	}
	held, err := c.held()
	if err == nil && !held {
		err = waitReadable(c.raw)
	}
	if err != nil {
		return c.opError("read", explain(ctx, err))
	}
	return nil
}

func (c *messageConn) opError(op string, err error) error {
	return ioError(op, c.network, c.LocalAddr(), c.RemoteAddr(), err)
}

// CloseWrite is for the function [CloseWrite]. Datagrams have no end that could be told.
func (c *messageConn) CloseWrite() error {
	if u, ok := c.socket.(*net.UnixConn); ok && c.kind == packets {
		return u.CloseWrite()
	}
	return c.opError("shutdown", errors.ErrUnsupported)
}

func (c *messageConn) isUDP() bool { return c.limit == maxDatagram }

// CanCloseWrite is for the function [CanCloseWrite].
func (c *messageConn) CanCloseWrite() bool { return c.kind == packets }

// CloseRead is for the function [CloseRead].
func (c *messageConn) CloseRead() error {
	if u, ok := c.socket.(*net.UnixConn); ok && c.kind == packets {
		return u.CloseRead()
	}
	return c.opError("shutdown", errors.ErrUnsupported)
}

// Close ends blocked calls with [net.ErrClosed].
func (c *messageConn) Close() error {
	c.in.guard.release()
	c.out.guard.release()
	return c.end()
}

func (c *messageConn) LocalAddr() net.Addr  { return c.socket.LocalAddr() }
func (c *messageConn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// Unwrap shows the capability functions the socket.
func (c *messageConn) Unwrap() Conn { return c.socket }
