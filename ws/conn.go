package ws

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
)

// conn is what streams and message connections share. One goroutine upgrades
// an accepted connection, then reads from it until the end.
type conn struct {
	lower net.Conn
	e     *tincan.Endpoint
	trace *tincan.Trace
	self  tincan.Conn // the stream or message connection that this is part of
	wire  *wire
	// deliver reads one message and hands it over; for the goroutine that reads.
	deliver func(r io.Reader) error
	client  bool
	limit   int64 // of a message received, negative for none

	ctx    context.Context // of an accepted connection's upgrade
	cancel context.CancelFunc

	start   sync.Once     // starts the goroutine
	ready   chan struct{} // closed when the upgrade ended; ws or err is set before
	done    chan struct{} // closed when the goroutine ended
	closing chan struct{} // closed by Close
	ws      *websocket.Conn
	err     error

	chunks  chan *buffer // closed at the end; readErr is set before
	readErr error

	readMu sync.Mutex // guards head; held while waiting for it
	head   *buffer    // what was handed over and not yet read

	writeMu sync.Mutex // guards part; held while one message is written
	part    []byte     // the beginning of a character that a text stream waits to see whole

	closeOnce sync.Once
	closeErr  error
}

func (c *conn) init(self tincan.Conn, lower net.Conn, e *tincan.Endpoint, trace *tincan.Trace) {
	c.self, c.lower, c.e, c.trace = self, lower, e, trace
	c.wire = &wire{Conn: lower}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.ready, c.done, c.closing = make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.chunks = make(chan *buffer)
}

// dial upgrades the connection as the client.
func (c *conn) dial(ctx context.Context) error {
	c.client = true
	c.upgrade(ctx, func(ctx context.Context) (*websocket.Conn, error) { return requestUpgrade(ctx, c.wire, c.e) })
	if c.err != nil {
		_ = c.lower.Close()
		return c.err
	}
	c.start.Do(func() { go c.read() })
	return nil
}

// serve upgrades the connection as the server, and reads.
func (c *conn) serve() {
	c.upgrade(c.ctx, func(context.Context) (*websocket.Conn, error) { return answerUpgrade(c.wire, c.e) })
	if c.err != nil {
		defer close(c.done)
		if !errors.Is(c.err, context.Canceled) {
			linger(c.lower)
		}
		_ = c.lower.Close()
		return
	}
	c.read()
}

// upgrade runs one side's part of the upgrade in the time that it may take.
func (c *conn) upgrade(ctx context.Context, side func(context.Context) (*websocket.Conn, error)) {
	defer close(c.ready)
	timeout := c.e.Options.HandshakeTimeout
	if timeout == 0 {
		timeout = tincan.DefaultHandshakeTimeout
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	// A layer below that agrees on something itself does it first, and its failure is told as its own.
	if c.err = tincan.Handshake(ctx, c.lower); c.err != nil {
		return
	}
	started := time.Now()
	unblock := context.AfterFunc(ctx, func() { _ = c.lower.SetDeadline(past) })
	ws, err := side(ctx)
	if !unblock() {
		err = ctx.Err() // also where the upgrade was through: the deadline is spoilt
	}
	if err == nil {
		err = c.lower.SetDeadline(time.Time{})
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		c.err = &tincan.HandshakeError{Layer: "ws", Err: err}
	} else {
		ws.SetReadLimit(c.limit)
		c.wire.frames.limit = c.limit
		c.ws = ws
	}
	if c.trace != nil && c.trace.Handshaken != nil {
		c.trace.Handshaken(c.self, "ws", time.Since(started), c.err)
	}
}

// linger waits a moment for the peer to take what was written: closing at
// once, with something of the peer's unread, would reset the connection and lose it.
func linger(lower net.Conn) {
	if tincan.CloseWrite(lower) == nil {
		_ = lower.SetReadDeadline(time.Now().Add(closeWait))
		_, _ = io.CopyN(io.Discard, lower, 256<<10)
	}
}

// Handshake completes the upgrade; see [tincan.Handshake]. When ctx ends
// first, the upgrade has failed for good.
func (c *conn) Handshake(ctx context.Context) error {
	c.begin()
	select {
	case <-c.ready:
	case <-ctx.Done():
		c.cancel()
		<-c.ready
	}
	return c.err
}

// begin starts the upgrade of an accepted connection.
func (c *conn) begin() { c.start.Do(func() { go c.serve() }) }

// read hands over what arrives, until the end.
func (c *conn) read() {
	defer close(c.done)
	defer close(c.chunks)
	for {
		_, r, err := c.ws.Reader(context.Background())
		if err == nil {
			err = c.deliver(r)
		}
		if err != nil {
			c.readErr = ending(err, c.wire.readError(), c.limit)
			if c.wire.frames.fault != nil {
				_ = c.ws.Close(websocket.StatusMessageTooBig, "the message is too long")
			}
			return
		}
	}
}

// hand gives b to a reader, who frees it, or tells that nobody will come.
func (c *conn) hand(b *buffer) error {
	select {
	case c.chunks <- b:
		return nil
	case <-c.closing:
		b.free()
		return net.ErrClosed
	}
}

// established waits until the connection is upgraded; late is closed when the caller's deadline passes.
func (c *conn) established(ctx context.Context, late <-chan struct{}) error {
	select { // these come first, whatever else is ready
	case <-c.closing:
		return net.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	c.begin()
	select {
	case <-c.ready:
		return c.err
	case <-c.closing:
		return net.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next waits until head holds what was received next; readMu is held.
func (c *conn) next(ctx context.Context, late <-chan struct{}) error {
	if err := c.established(ctx, late); err != nil {
		return err
	}
	if c.head != nil {
		return nil
	}
	select {
	case b, ok := <-c.chunks:
		if !ok {
			return c.readErr
		}
		c.head = b
		return nil
	case <-c.closing:
		return net.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readable makes of next's error one of WaitReadable: what a read would tell
// is no reason not to read.
func readable(err error) error {
	switch err {
	case net.ErrClosed, os.ErrDeadlineExceeded, context.Canceled, context.DeadlineExceeded:
		return err // as next says them, not wrapped
	}
	return nil
}

// took frees head, which has been read; readMu is held.
func (c *conn) took() {
	c.head.free()
	c.head = nil
}

// send writes p as one message; writeMu is held. It gives whether p is on its
// way: when the deadline of wire passes in the middle it is, and there is an error too.
func (c *conn) send(p []byte) (sent bool, err error) {
	if err := c.wire.flush(); err != nil {
		return false, c.writeError(err)
	}
	if err := c.enqueue(p); err != nil {
		return false, c.writeError(err)
	}
	if err := c.wire.flush(); err != nil {
		return errors.Is(err, os.ErrDeadlineExceeded), c.writeError(err)
	}
	return true, nil
}

// enqueue puts p in a frame, which waits for the next flush.
func (c *conn) enqueue(p []byte) error {
	kind := websocket.MessageBinary
	if c.e.Options.Text {
		kind = websocket.MessageText
	}
	c.wire.hold()
	defer c.wire.release()
	return c.ws.Write(context.Background(), kind, p)
}

// writeError tells a connection that we closed from one that the peer did.
func (c *conn) writeError(err error) error {
	select {
	case <-c.closing:
		return net.ErrClosed // whatever it was that ended the write
	default:
	}
	if errors.Is(err, net.ErrClosed) {
		return syscall.EPIPE
	}
	return err
}

// opError tells which operation failed; the end of a stream stays plain.
func (c *conn) opError(op string, err error) error {
	var opErr *net.OpError
	if err == nil || err == io.EOF || errors.As(err, &opErr) {
		return err
	}
	return &net.OpError{Op: op, Net: c.e.Scheme, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close sends what is still queued and a close frame, and waits up to a second
// for that and for the peer's close frame. A Read or Write under way ends with
// [net.ErrClosed]. The error tells of bytes that could not be sent in that time.
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closing)
		c.cancel()
		c.start.Do(func() { // nothing has begun, and nothing will
			c.err = net.ErrClosed
			close(c.ready)
			close(c.done)
			c.closeErr = c.lower.Close()
		})
		<-c.ready
		if c.ws != nil {
			c.closeErr = c.opError("close", c.goodbye())
		}
		<-c.done
	})
	return c.closeErr
}

// goodbye closes an upgraded connection.
func (c *conn) goodbye() error {
	c.wire.interrupt() // a Write under way ends; the rest of its frame stays queued
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.wire.part()
	_ = c.lower.SetReadDeadline(time.Now().Add(closeWait))
	if len(c.part) > 0 {
		_ = c.enqueue(c.part) // no more of it will come
	}
	_ = c.ws.Close(websocket.StatusNormalClosure, "") // closes wire, also after an error
	return c.wire.lost()
}

// Abort ends the connection without a close frame, which the peer reads as cut
// short, and resets the connection underneath where that can be reset; see [tincan.Abort].
func (c *conn) Abort() error {
	err := tincan.Abort(c.lower)
	if errors.Is(err, errors.ErrUnsupported) {
		err = c.lower.Close()
	}
	_ = c.Close() // nothing is there to wait for
	return err
}

// LocalAddr and RemoteAddr are those of the connection underneath.
func (c *conn) LocalAddr() net.Addr  { return c.lower.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.lower.RemoteAddr() }

// NetConn gives the connection underneath, for [tincan.PeerCred] and [tincan.Abort].
func (c *conn) NetConn() net.Conn { return c.lower }
