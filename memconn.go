package tincan

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// memConn is one end of an in-process connection: what streams and messages have in common.
type memConn struct {
	in, out *memPipe
	addr    *Endpoint
	closed  atomic.Bool
}

// memPair connects two ends, each bounded by what its reader holds.
func memPair(addr *Endpoint, dialled, accepted int, messages bool) (a, b *memConn) {
	toDialled, toAccepted := newMemPipe(dialled, messages), newMemPipe(accepted, messages)
	return &memConn{in: toDialled, out: toAccepted, addr: addr}, &memConn{in: toAccepted, out: toDialled, addr: addr}
}

// LocalAddr gives the endpoint; the two ends have no names of their own.
func (c *memConn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr gives the endpoint.
func (c *memConn) RemoteAddr() net.Addr { return c.addr }

// fail makes err an OpError; an orderly end is told plainly.
func (c *memConn) fail(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: c.addr.Scheme, Source: c.addr, Addr: c.addr, Err: err}
}

// Close lets the peer read what is queued for it, then io.EOF; its writes fail
// with EPIPE. If there is something here that was not read, it finds
// ECONNRESET in place of io.EOF, as with a Unix socket: it must not think that all was received.
func (c *memConn) Close() error {
	if c.closed.Swap(true) {
		return c.fail("close", net.ErrClosed)
	}
	fin := io.EOF
	if c.in.shutRead(net.ErrClosed, syscall.EPIPE) {
		fin = syscall.ECONNRESET
	}
	c.out.shutWrite(net.ErrClosed, fin, false)
	return nil
}

// Abort closes at once: the peer loses what it has not read and gets ECONNRESET.
func (c *memConn) Abort() error {
	if c.closed.Swap(true) {
		return c.fail("abort", net.ErrClosed)
	}
	c.in.shutRead(net.ErrClosed, syscall.ECONNRESET)
	c.out.shutWrite(net.ErrClosed, syscall.ECONNRESET, true)
	return nil
}

// Reset closes so that the peer reads what is queued for it, then gets ECONNRESET.
func (c *memConn) Reset() error {
	if c.closed.Swap(true) {
		return c.fail("reset", net.ErrClosed)
	}
	c.in.shutRead(net.ErrClosed, syscall.ECONNRESET)
	c.out.shutWrite(net.ErrClosed, syscall.ECONNRESET, false)
	return nil
}

// CloseWrite lets the peer read io.EOF behind what is queued.
func (c *memConn) CloseWrite() error {
	if c.closed.Load() {
		return c.fail("shutdown", net.ErrClosed)
	}
	c.out.shutWrite(syscall.EPIPE, io.EOF, false)
	return nil
}

// CloseRead discards what is queued and refuses what the peer writes later with EPIPE, as a Unix socket does.
func (c *memConn) CloseRead() error {
	if c.closed.Load() {
		return c.fail("shutdown", net.ErrClosed)
	}
	c.in.shutRead(io.EOF, syscall.EPIPE)
	return nil
}

// WaitReadable waits until a read would not block; see the function of that name.
func (c *memConn) WaitReadable(ctx context.Context) error {
	return c.fail("read", c.in.waitReadable(ctx))
}

func (c *memConn) peerCred() (Cred, error) { return ownCred() }

// memStream is an end that carries a byte stream.
type memStream struct{ *memConn }

func (c memStream) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.fail("read", err)
}

func (c memStream) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.fail("write", err)
}

func (c memStream) SetDeadline(t time.Time) error {
	err := c.in.setReadDeadline(t)
	if err == nil {
		err = c.out.setWriteDeadline(t)
	}
	return c.fail("set", err)
}

func (c memStream) SetReadDeadline(t time.Time) error {
	return c.fail("set", c.in.setReadDeadline(t))
}

func (c memStream) SetWriteDeadline(t time.Time) error {
	return c.fail("set", c.out.setWriteDeadline(t))
}

// memMessageConn is an end that carries messages.
type memMessageConn struct{ *memConn }

func (c memMessageConn) ReadMessage(ctx context.Context, b []byte) (int, error) {
	n, err := c.in.readMessage(ctx, b)
	return n, c.fail("read", err)
}

func (c memMessageConn) WriteMessage(ctx context.Context, b []byte) error {
	return c.fail("write", c.out.writeMessage(ctx, b))
}
