package service

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A connection is one peer in the care of a server. It is its handler's
// context too: an idle peer must cost little, and each value would be an allocation.
type connection struct {
	context.Context // ends with the drain, or with the connection's total time
	group           *group
	conn            tincan.Conn // as it was accepted
	watch           *watch      // nil where nothing has to be learnt from what passes

	// Guarded by group.mu.
	cause error // why the server aborted it
	wake  wake  // when the drain begins
	ended bool  // its handler returned
}

// A watch is what a server knows of a connection that it traces or bounds in time.
type watch struct {
	received, sent atomic.Int64 // bytes
	active         atomic.Int64 // when something last passed, in nanoseconds since the Unix epoch
	sawEnd         atomic.Bool  // the peer's end was traced
	total, idle    *time.Timer  // nil without that bound; idle is guarded by group.mu
}

// A wake is the direction of a stream whose blocked calls the beginning of a
// drain ends with [os.ErrDeadlineExceeded].
type wake uint8

const (
	wakeNone wake = iota
	wakeReader
	wakeWriter
)

// Value gives the connection itself to this package's functions.
func (c *connection) Value(key any) any {
	switch key.(type) {
	case peerKey:
		return c.conn.RemoteAddr()
	case groupKey:
		return c.group
	case connectionKey:
		return c
	}
	return c.Context.Value(key)
}

type (
	peerKey       struct{}
	groupKey      struct{}
	connectionKey struct{}
)

// Draining gives the channel that is closed when the server that runs the
// handler with this ctx begins to drain: the handler should then come to an
// end, and ctx itself lives until the drain is over. Without a server it is nil, which is never closed.
func Draining(ctx context.Context) <-chan struct{} {
	if g, ok := ctx.Value(groupKey{}).(*group); ok {
		return g.draining
	}
	return nil
}

// Peer gives the sender of the request that a [MessageHandler] answers, nil
// for an unnamed Unix socket or without a server.
func Peer(ctx context.Context) net.Addr {
	a, _ := ctx.Value(peerKey{}).(net.Addr)
	return a
}

// serve makes the handshake, runs handle under the server's timeouts, and ends the connection
// whatever becomes of that. It is the one frame between an idle handler and its goroutine's start.
func (c *connection) serve(handle func(*connection) error) {
	defer c.group.wg.Done()
	var err error
	returned := false
	defer func() {
		if v := recover(); v != nil || !returned { // not returned without a panic is Goexit
			err = panicError(v)
		}
		c.group.end(c, err)
	}()
	if s := c.group.server; s.Timeout > 0 || s.IdleTimeout > 0 {
		defer c.startTimers()()
	}
	if err = tincan.Handshake(c, c.conn); err == nil {
		err = handle(c)
	}
	returned = true
}

// startTimers bounds the connection's whole and silent time. The function it gives ends that.
func (c *connection) startTimers() (stop func()) {
	s, w, cancel := c.group.server, c.watch, func() {}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	if s.Timeout > 0 {
		c.Context, cancel = context.WithTimeout(c.Context, s.Timeout)
		w.total = time.AfterFunc(s.Timeout, func() { c.abort(c.timeout("timeout")) })
	}
	if s.IdleTimeout > 0 {
		w.touch()
		w.idle = time.AfterFunc(s.IdleTimeout, c.checkIdle)
	}
	return func() {
		for _, t := range []*time.Timer{w.total, w.idle} {
			if t != nil {
				t.Stop()
			}
		}
		cancel()
	}
}

// timeout is the error of a connection that took too long.
func (c *connection) timeout(op string) error {
	return &net.OpError{
		Op: op, Net: c.conn.LocalAddr().Network(), Source: c.conn.LocalAddr(), Addr: c.conn.RemoteAddr(),
		Err: os.ErrDeadlineExceeded,
	}
}

// checkIdle aborts a connection that was silent for too long, or waits for the rest of the time.
func (c *connection) checkIdle() {
	limit := c.group.server.IdleTimeout
	silent := time.Duration(time.Now().UnixNano() - c.watch.active.Load())
	if silent >= limit {
		c.abort(c.timeout("idle"))
		return
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	if !c.ended {
		c.watch.idle.Reset(limit - max(silent, 0))
	}
}

// abort ends the connection from outside its handler, which then returns.
func (c *connection) abort(cause error) {
	c.group.mu.Lock()
	if c.ended || c.cause != nil {
		c.group.mu.Unlock()
		return
	}
	c.cause = cause
	c.group.mu.Unlock()
	abort(c.conn)
}

// wakeOnDrain asks for a wake of the handler's stream when the drain begins,
// and reports false where it already has.
func wakeOnDrain(ctx context.Context, w wake) bool {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return true // no server, no drain
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	select {
	case <-c.group.draining:
		return false
	default:
		c.wake = w
		return true
	}
}

// past wakes whatever waits on a connection.
var past = time.Unix(1, 0)

// drain wakes the handler if it asked for that. A deadline can't be set on a
// closed connection alone, and there nobody waits.
func (c *connection) drain() {
	conn, ok := c.conn.(net.Conn)
	switch {
	case !ok || c.wake == wakeNone:
	case c.wake == wakeReader:
		_ = conn.SetReadDeadline(past)
	case c.wake == wakeWriter:
		_ = conn.SetWriteDeadline(past)
	}
}

func (w *watch) touch() { w.active.Store(time.Now().UnixNano()) }

// passed counts bytes that were received and sent, where anyone wants to know.
func (c *connection) passed(received, sent int64) {
	if c.watch == nil {
		return
	}
	if c.watch.idle != nil {
		c.watch.touch()
	}
	c.watch.received.Add(received)
	c.watch.sent.Add(sent)
}

// stream gives conn as the handler shall see it: bare, unless something has to be learnt from what passes.
func (c *connection) stream(conn net.Conn) net.Conn {
	if c.watch == nil {
		return conn
	}
	return &watchedConn{conn, c}
}

// A watchedConn counts what passes and notices the ends.
type watchedConn struct {
	net.Conn
	c *connection
}

// Passed counts bytes that went past Read and Write: package relay moves them on the socket itself.
func (w *watchedConn) Passed(received, sent int64, _ bool) { w.c.passed(received, sent) }

// Unwrap shows the capability functions the connection inside.
func (w *watchedConn) Unwrap() tincan.Conn { return w.Conn }

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.c.passed(int64(n), 0)
	}
	if err != nil {
		w.ended(err)
	}
	return n, err
}

func (w *watchedConn) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if n > 0 {
		w.c.passed(0, int64(n))
	}
	return n, err
}

// ended traces the peer's end, once.
func (w *watchedConn) ended(err error) {
	if f := w.c.group.trace.HalfClosed; f != nil && errors.Is(err, io.EOF) && !w.c.watch.sawEnd.Swap(true) {
		f(w.c.conn, tincan.Remote)
	}
}

// CloseWrite half-closes, which is traced.
func (w *watchedConn) CloseWrite() error {
	err := tincan.CloseWrite(w.Conn)
	if f := w.c.group.trace.HalfClosed; f != nil && err == nil {
		f(w.c.conn, tincan.Local)
	}
	return err
}

// CanCloseWrite is for [tincan.CanCloseWrite].
func (w *watchedConn) CanCloseWrite() bool { return tincan.CanCloseWrite(w.Conn) }

// ReadFrom and WriteTo let io.Copy reach the socket, which may splice, unless
// each piece has to be noticed.

func (w *watchedConn) ReadFrom(r io.Reader) (int64, error) {
	if w.c.group.server.IdleTimeout > 0 {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	n, err := io.Copy(w.Conn, r)
	w.c.passed(0, n)
	return n, err
}

func (w *watchedConn) WriteTo(dst io.Writer) (int64, error) {
	if w.c.group.server.IdleTimeout > 0 {
		return io.Copy(dst, struct{ io.Reader }{w})
	}
	n, err := io.Copy(dst, w.Conn)
	w.c.passed(n, 0)
	if err == nil {
		w.ended(io.EOF)
	}
	return n, err
}
