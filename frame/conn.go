package frame

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A Conn is a message connection over a byte stream: tincan's MessageConn.
//
// Its methods may be called at once; messages are read, and written, one
// after the other. The deadlines of the stream are the Conn's to set.
type Conn struct {
	conn  net.Conn
	f     Framing
	limit int

	// A lock that ctx can end the wait for: what it guards is used by who has put a value in.
	reading, writing chan struct{}
	r                *Reader // guarded by reading
	out              []byte  // guarded by writing
	broken           error   // guarded by writing: part of a frame was sent
}

// NewConn gives a Conn that owns c. A message of either direction may have up
// to limit bytes; zero or negative means [DefaultLimit].
func NewConn(c net.Conn, f Framing, limit int) *Conn {
	r := NewReader(c, f, limit)
	return &Conn{conn: c, f: f, limit: r.limit, reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), r: r}
}

// ReadMessage waits for the next message, copies it into buf and gives its
// length. A message longer than buf is lost and the error is [io.ErrShortBuffer];
// other errors are those of [Reader.Read], in a [*net.OpError] but for [io.EOF].
// When ctx ends first the error is ctx's and no message is lost.
func (c *Conn) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	n := 0
	err := c.whenReading(ctx, func() error {
		msg, err := c.r.Read()
		if err != nil {
			return err
		}
		if len(msg) > len(buf) {
			return io.ErrShortBuffer
		}
		n = copy(buf, msg)
		return nil
	})
	return n, err
}

// WaitReadable waits until ReadMessage would not block: a whole message, the
// end or an error is there. It ends as ReadMessage does, and consumes nothing.
func (c *Conn) WaitReadable(ctx context.Context) error {
	err := c.whenReading(ctx, func() error {
		_, err := c.r.peek()
		return err
	})
	if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // the read will tell
	}
	return err
}

// NextSize waits as WaitReadable and gives the length of the next message, 0 where it is the end or an error that is there.
func (c *Conn) NextSize(ctx context.Context) (int, error) {
	n := 0
	err := c.whenReading(ctx, func() error {
		s, err := c.r.peek()
		n = int(s.size)
		return err
	})
	if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, nil // the read will tell
	}
	return 0, err
}

// whenReading calls read when no other reader is in it; the end of ctx ends it.
func (c *Conn) whenReading(ctx context.Context, read func() error) error {
	if err := lock(ctx, c.reading); err != nil {
		return c.opError("read", err)
	}
	defer func() { <-c.reading }()
	release := guard(ctx, c.conn.SetReadDeadline)
	err := read()
	release()
	return c.opError("read", because(ctx, err))
}

// WriteMessage sends msg in its frame, in one write. It blocks while the
// peer doesn't read, until ctx ends. The error is [ErrTooLong] or [ErrDelimiter], with
// nothing sent, or the stream's. Where that failed within a frame the connection is
// closed, for nothing that followed could be told from the frame's rest.
func (c *Conn) WriteMessage(ctx context.Context, msg []byte) error {
	if len(msg) > c.limit {
		return c.opError("write", fmt.Errorf("%w: %d bytes are over the limit of %d", ErrTooLong, len(msg), c.limit))
	}
	if err := lock(ctx, c.writing); err != nil {
		return c.opError("write", err)
	}
	defer func() { <-c.writing }()
	if c.broken != nil {
		return c.broken
	}
	framed, err := Append(c.out[:0], c.f, msg)
	if err != nil {
		return c.opError("write", err)
	}
	if cap(framed) <= keptBuffer {
		c.out = framed
	}
	release := guard(ctx, c.conn.SetWriteDeadline)
	n, err := c.conn.Write(framed)
	release()
	err = c.opError("write", because(ctx, err))
	if err != nil && n > 0 {
		c.broken = err
		_ = c.conn.Close() // the error to tell is the write's
	}
	return err
}

// Close closes the stream.
func (c *Conn) Close() error { return c.conn.Close() }

// LocalAddr gives the stream's own address.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr gives the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// Unwrap gives the stream to tincan's capability functions. What a Conn has
// read ahead is not to be had from it.
func (c *Conn) Unwrap() net.Conn { return c.conn }

// opError tells the operation, where err doesn't yet. The end is no failure.
func (c *Conn) opError(op string, err error) error {
	var opErr *net.OpError
	if err == nil || errors.Is(err, io.EOF) || errors.As(err, &opErr) {
		return err
	}
	return &net.OpError{Op: op, Net: c.conn.LocalAddr().Network(), Source: c.conn.LocalAddr(), Addr: c.conn.RemoteAddr(), Err: err}
}

func lock(ctx context.Context, l chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guard makes ctx end what blocks on a stream, by its deadline. The function it gives undoes that.
func guard(ctx context.Context, setDeadline func(time.Time) error) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = setDeadline(time.Unix(1, 0)) // long past
	})
	return func() {
		if !stop() {
			<-cut
			_ = setDeadline(time.Time{})
		}
	}
}

// because gives ctx's error for a deadline that guard set.
func because(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
