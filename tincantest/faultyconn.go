package tincantest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
)

// faultyConn does to what passes what its Faults say. It is no wrapper that a
// splice or urgent data may see through: the bytes would go round it.
type faultyConn struct {
	lower   net.Conn
	in, out *flow
	over    chan struct{} // closed when lower is, by whoever

	mu     sync.Mutex // guards what follows
	cause  error      // why lower is closed, nil while it isn't
	closed bool       // by Close or Abort
}

// WrapFaulty gives c with faults: what one side of a connection does to its
// own reading and writing, the other side meets. The result owns c.
//
// It is as safe for use by several goroutines as every [net.Conn]. Deadlines end
// the waits that the faults make, and so does closing. Delays are exact in a
// [testing/synctest] bubble where c is an in-process connection; but what waits for a mutex
// hangs a bubble, and TLS and WebSocket hold one while they write, so don't delay writes beneath these. After a Cut its
// own calls fail with ECONNABORTED, after a Reset with ECONNRESET, and a Write behind
// its HalfClose with EPIPE. [tincan.CloseWrite], [tincan.CloseRead], [tincan.Abort],
// [tincan.Handshake], [tincan.WaitReadable] and [tincan.PeerCred] work as c's family has them.
func WrapFaulty(c net.Conn, f Faults) net.Conn {
	return &faultyConn{
		lower: c, in: newFlow(&f, f.Read, 1), out: newFlow(&f, f.Write, 2), over: make(chan struct{}),
	}
}

func (c *faultyConn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	return n, c.opError("read", err)
}

func (c *faultyConn) read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.lower.Read(p)
	}
	if err := c.lock(c.in); err != nil {
		return 0, err
	}
	defer c.in.unlock()
	n, err := c.next(c.in, len(p))
	if err != nil {
		return 0, err
	}
	n, err = c.lower.Read(p[:n])
	copy(p, c.in.spoil(p[:n]))
	c.in.count(n)
	c.end(c.in)
	return n, c.explain(err)
}

func (c *faultyConn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	return n, c.opError("write", err)
}

func (c *faultyConn) write(p []byte) (n int, err error) {
	if len(p) == 0 {
		return c.lower.Write(p)
	}
	if err := c.lock(c.out); err != nil {
		return 0, err
	}
	defer c.out.unlock()
	for n < len(p) {
		piece, err := c.next(c.out, len(p)-n)
		if err != nil {
			return n, err
		}
		wrote, err := c.lower.Write(c.out.spoil(p[n : n+piece]))
		n += wrote
		c.out.count(wrote)
		c.end(c.out)
		if err != nil {
			return n, c.explain(err)
		}
	}
	return n, nil
}

// lock waits for f's turn, unless f has come to an end.
func (c *faultyConn) lock(f *flow) error {
	if err := c.ended(f); err != nil {
		return err
	}
	late := f.by.Wait()
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-c.over:
		return c.ended(f)
	case <-late:
		return os.ErrDeadlineExceeded
	}
}

// next waits until f's next piece, of n bytes at most, may pass, and gives its length.
func (c *faultyConn) next(f *flow, n int) (int, error) {
	c.end(f)
	if err := c.ended(f); err != nil {
		return 0, err
	}
	if err := f.hold(c.over); err != nil {
		return 0, err
	}
	if err := c.ended(f); err != nil {
		return 0, err
	}
	return f.piece(n), nil
}

// ended tells why nothing more passes in f, if so.
func (c *faultyConn) ended(f *flow) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.cause != nil:
		return c.cause
	case !f.isEnded():
		return nil
	case f == c.in:
		return io.EOF
	}
	return syscall.EPIPE
}

// end makes f's End happen where it is due. What lower says to it is no news.
func (c *faultyConn) end(f *flow) {
	if !f.due() {
		return
	}
	switch f.End {
	case HalfClose:
		if f == c.out {
			_ = tincan.CloseWrite(c.lower)
		}
	case Cut:
		if c.finish(syscall.ECONNABORTED, false) {
			_ = c.lower.Close()
		}
	case Reset:
		if c.finish(syscall.ECONNRESET, false) && tincan.Abort(c.lower) != nil {
			_ = c.lower.Close()
		}
	}
}

// finish notes why lower is about to be closed, and reports whether it was open.
func (c *faultyConn) finish(cause error, closed bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = c.closed || closed
	if c.cause != nil {
		return false
	}
	c.cause = cause
	close(c.over)
	return true
}

// explain gives for lower's error the reason why it was closed, if it was.
func (c *faultyConn) explain(err error) error {
	if !errors.Is(err, net.ErrClosed) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil && !c.closed {
		return c.cause
	}
	return err
}

func (c *faultyConn) opError(op string, err error) error {
	var opErr *net.OpError
	if err == nil || err == io.EOF || errors.As(err, &opErr) {
		return err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close closes the connection below, unless a fault already has.
func (c *faultyConn) Close() error {
	if !c.finish(net.ErrClosed, true) {
		return nil
	}
	return c.lower.Close()
}

// Abort is for [tincan.Abort].
func (c *faultyConn) Abort() error {
	err := tincan.Abort(c.lower)
	if err == nil || !errors.Is(err, errors.ErrUnsupported) {
		c.finish(net.ErrClosed, true)
	}
	return err
}

func (c *faultyConn) CloseWrite() error                   { return tincan.CloseWrite(c.lower) }
func (c *faultyConn) CloseRead() error                    { return tincan.CloseRead(c.lower) }
func (c *faultyConn) Handshake(ctx context.Context) error { return tincan.Handshake(ctx, c.lower) }

// WaitReadable waits for the connection below: a Read may still be delayed, or stall.
func (c *faultyConn) WaitReadable(ctx context.Context) error {
	if c.ended(c.in) != nil {
		return nil // the read will tell
	}
	return tincan.WaitReadable(ctx, c.lower)
}

// NetConn shows [tincan.PeerCred] the connection below.
func (c *faultyConn) NetConn() net.Conn    { return c.lower }
func (c *faultyConn) LocalAddr() net.Addr  { return c.lower.LocalAddr() }
func (c *faultyConn) RemoteAddr() net.Addr { return c.lower.RemoteAddr() }

func (c *faultyConn) SetDeadline(t time.Time) error {
	c.in.by.Set(t)
	c.out.by.Set(t)
	return c.lower.SetDeadline(t)
}

func (c *faultyConn) SetReadDeadline(t time.Time) error {
	c.in.by.Set(t)
	return c.lower.SetReadDeadline(t)
}

func (c *faultyConn) SetWriteDeadline(t time.Time) error {
	c.out.by.Set(t)
	return c.lower.SetWriteDeadline(t)
}
