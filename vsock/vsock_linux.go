package vsock

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/mdlayher/vsock"
	"github.com/tincan-ipc/tincan"
)

// Dial connects to e.
func (Transport) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	cid, port, err := address(e, cidLocal)
	if err != nil {
		return nil, err
	}
	to := endpoint(cid, port)
	if d.Trace != nil && d.Trace.Connecting != nil {
		d.Trace.Connecting(to.Scheme, to.String())
	}
	started := time.Now()
	c, err := vsock.DialContext(ctx, cid, port, nil)
	if d.Trace != nil && d.Trace.Connected != nil {
		d.Trace.Connected(to.Scheme, to.String(), time.Since(started), err)
	}
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

// Listen binds e.
func (Transport) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	cid, port, err := address(e, cidAny)
	if err != nil {
		return nil, err
	}
	ln, err := vsock.ListenContextID(cid, port, nil)
	if err != nil {
		return nil, err
	}
	return &listener{ln, endpointOf(ln.Addr())}, nil
}

// listener is one whose Addr can be dialled.
type listener struct {
	*vsock.Listener
	addr *tincan.Endpoint
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, closed(err)
	}
	return newConn(c.(*vsock.Conn)), nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// closed makes [net.ErrClosed] of what the library says of a socket that it closed itself.
func closed(err error) error {
	var opErr *net.OpError
	if errors.Is(err, syscall.EBADF) && errors.As(err, &opErr) {
		opErr.Err = net.ErrClosed
	}
	return err
}

// conn is the library's connection, with addresses that can be dialled.
type conn struct {
	*vsock.Conn
	local, remote *tincan.Endpoint
}

func newConn(c *vsock.Conn) *conn {
	return &conn{c, endpointOf(c.LocalAddr()), endpointOf(c.RemoteAddr())}
}

func endpointOf(a net.Addr) *tincan.Endpoint {
	v := a.(*vsock.Addr)
	return endpoint(v.ContextID, v.Port)
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) CloseWrite() error { return closed(c.Conn.CloseWrite()) }
func (c *conn) CloseRead() error  { return closed(c.Conn.CloseRead()) }

// Write is as [net.Conn] says. The library takes a connection that is gone
// (ENOTCONN) for an end of file, which a writer does not expect.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == io.EOF {
		err = &net.OpError{Op: "write", Net: "vsock", Source: c.local, Addr: c.remote, Err: syscall.EPIPE}
	}
	return n, err
}
