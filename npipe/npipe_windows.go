package npipe

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"syscall"
	"time"

	"github.com/Microsoft/go-winio"
	"github.com/tincan-ipc/tincan"
)

// Dial connects to e. While all instances of the pipe are busy it waits until ctx ends.
func (Transport) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	path, err := pipePath(e)
	if err != nil {
		return nil, err
	}
	if d.Trace != nil && d.Trace.Connecting != nil {
		d.Trace.Connecting(e.Scheme, path)
	}
	started := time.Now()
	c, err := winio.DialPipeContext(ctx, path)
	if d.Trace != nil && d.Trace.Connected != nil {
		d.Trace.Connected(e.Scheme, path, time.Since(started), err)
	}
	if err != nil {
		return nil, err
	}
	return wrap(c, bare(e)), nil
}

// Listen makes the pipe.
func (t Transport) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	path, err := pipePath(e)
	if err != nil {
		return nil, err
	}
	descriptor := t.SecurityDescriptor
	if descriptor == "" {
		if descriptor, err = ownerOnly(); err != nil {
			return nil, err
		}
	}
	ln, err := winio.ListenPipe(path, &winio.PipeConfig{
		SecurityDescriptor: descriptor,
		MessageMode:        true, // for the half-close
		InputBufferSize:    64 << 10,
		OutputBufferSize:   64 << 10,
	})
	if err != nil {
		return nil, err
	}
	return &listener{ln, bare(e)}, nil
}

// ownerOnly is a descriptor that grants everything to the user that the
// process runs as, and inherits nothing. The "owner" of SDDL would not do: for
// an administrator's process that is the group of administrators.
func ownerOnly() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("D:P(A;;GA;;;%s)", u.Uid), nil // on Windows Uid is the SID
}

// bare gives e without its options: what the pipe is called.
func bare(e *tincan.Endpoint) *tincan.Endpoint {
	return &tincan.Endpoint{Scheme: e.Scheme, Path: e.Path}
}

type listener struct {
	net.Listener
	addr *tincan.Endpoint
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: l.addr.Scheme, Addr: l.addr, Err: err}
	}
	return wrap(c, l.addr), nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// conn is a pipe with the endpoint for its address and the errors of package net.
type conn struct {
	net.Conn
	addr *tincan.Endpoint
}

// messageConn is a pipe in message mode, which has a half-close.
type messageConn struct {
	conn
	half interface{ CloseWrite() error }
}

func wrap(c net.Conn, addr *tincan.Endpoint) net.Conn {
	wrapped := conn{c, addr}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return &messageConn{wrapped, half}
	}
	return &wrapped
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.opError("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.opError("write", err)
}

// CloseWrite waits until the peer has read what was written, then ends the stream.
func (c *messageConn) CloseWrite() error { return c.opError("shutdown", c.half.CloseWrite()) }

func (c *conn) LocalAddr() net.Addr  { return c.addr }
func (c *conn) RemoteAddr() net.Addr { return c.addr }

// errNoData is a pipe that the peer is closing.
const errNoData = syscall.Errno(232)

// opError puts the library's errors in terms of the standard library's.
func (c *conn) opError(op string, err error) error {
	switch err {
	case nil, io.EOF:
		return err
	case os.ErrClosed:
		err = net.ErrClosed
	case winio.ErrTimeout:
		err = os.ErrDeadlineExceeded
	case syscall.ERROR_BROKEN_PIPE, errNoData, io.ErrClosedPipe:
		err = syscall.EPIPE
	}
	return &net.OpError{Op: op, Net: c.addr.Scheme, Source: c.addr, Addr: c.addr, Err: err}
}
