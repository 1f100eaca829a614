package local

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// A file is one direction of a Conn.
type file interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// A Conn is a local end as a byte stream, from one thing that is read and one
// that is written. Reads and writes may be under way at once, and Close at any time.
type Conn struct {
	addr net.Addr
	in   file
	out  file
	// halfClose ends out in another way than closing it, where that is not nil.
	halfClose func() error
	// ended, if not nil, is closed with out.
	ended *silence

	readClosed, closed atomic.Bool
	closeErr           atomic.Pointer[error]
}

// Read reads what the end gives. Where it gives nothing, as a file that is
// written to, it blocks until CloseWrite, so that its end tells that all was written.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case c.readClosed.Load() && !c.closed.Load():
		return n, io.EOF
	case errors.Is(err, syscall.EIO) && c.halfClose != nil:
		return n, io.EOF // how a pseudo-terminal tells that nobody has it open any more
	}
	return n, c.opError("read", err)
}

func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	return n, c.opError("write", err)
}

// CloseWrite tells the end that no more is written to it. The error is
// [errors.ErrUnsupported] where there is no way to, as with a terminal.
func (c *Conn) CloseWrite() error {
	if c.halfClose != nil {
		return c.opError("shutdown", c.halfClose())
	}
	return c.closeOut()
}

func (c *Conn) closeOut() error {
	err := c.out.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if err = c.opError("close", err); err != nil {
		c.closeErr.CompareAndSwap(nil, &err)
	}
	if c.ended != nil {
		_ = c.ended.Close()
	}
	return err
}

// CloseRead makes a blocked and every later Read give [io.EOF].
func (c *Conn) CloseRead() error {
	c.readClosed.Store(true)
	if c.in == c.out {
		return c.opError("shutdown", c.in.SetReadDeadline(time.Unix(1, 0)))
	}
	return c.opError("close", c.in.Close())
}

// Close ends both directions.
func (c *Conn) Close() error {
	c.closed.Store(true)
	err := c.closeOut()
	if !c.readClosed.Swap(true) && c.in != c.out {
		err = errors.Join(err, c.opError("close", c.in.Close()))
	}
	return err
}

// WriteFault gives what only closing the written side brought to light, as a
// full disk may be; nil after an orderly end.
func (c *Conn) WriteFault() error {
	if err := c.closeErr.Load(); err != nil {
		return *err
	}
	return nil
}

// LocalAddr gives the end's name.
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr gives the end's name too.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// SetDeadline is as [net.Conn] has it. A deadline has no effect on a
// regular file, which doesn't block for long.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is as [net.Conn] has it.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.deadlineError(c.in.SetReadDeadline(t))
}

// SetWriteDeadline is as [net.Conn] has it.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.deadlineError(c.out.SetWriteDeadline(t))
}

func (c *Conn) deadlineError(err error) error {
	if errors.Is(err, os.ErrNoDeadline) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return c.opError("set", err)
}

// opError makes err a [*net.OpError], and a file's own error for being closed the one of connections.
func (c *Conn) opError(op string, err error) error {
	var (
		pathErr *os.PathError
		opErr   *net.OpError
	)
	switch {
	case err == nil || errors.As(err, &opErr):
		return err
	case errors.Is(err, os.ErrClosed):
		err = net.ErrClosed
	case errors.As(err, &pathErr):
		err = pathErr.Err
	}
	return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: err}
}

// oneWay joins the two files, either of which may be nil: then nothing comes, or what is written is discarded.
func oneWay(addr net.Addr, in, out file) *Conn {
	c := &Conn{addr: addr, in: in, out: out}
	if out == nil {
		c.out = discard{}
	}
	if in == nil {
		c.ended = newSilence()
		c.in = c.ended
	}
	return c
}

// bothWays uses one file for both directions; it has no half-close.
func bothWays(addr net.Addr, f file) *Conn {
	return &Conn{addr: addr, in: f, out: f, halfClose: func() error { return errors.ErrUnsupported }}
}

// discard takes everything.
type discard struct{}

func (discard) Read([]byte) (int, error)         { return 0, io.EOF }
func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) Close() error                     { return nil }
func (discard) SetReadDeadline(time.Time) error  { return nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }

// A silence gives nothing until it is closed.
type silence struct {
	discard
	once     sync.Once
	over     chan struct{}
	deadline wait.Deadline
}

func newSilence() *silence { return &silence{over: make(chan struct{})} }

func (s *silence) Read([]byte) (int, error) {
	select {
	case <-s.over:
		return 0, io.EOF
	case <-s.deadline.Wait():
		return 0, os.ErrDeadlineExceeded
	}
}

func (s *silence) Close() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

func (s *silence) SetReadDeadline(t time.Time) error {
	s.deadline.Set(t)
	return nil
}
