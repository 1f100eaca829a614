package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A StreamHandler serves one byte stream until it ends. It may be called for
// many at once. The server closes conn afterwards: in order where the handler
// gave nil, else by [tincan.Abort], so that the peer never takes a failure for the end.
//
// ctx ends when the server's drain is over; the connection is then aborted as
// well, so that a blocked Read or Write returns. See [Draining] for its beginning.
type StreamHandler func(ctx context.Context, conn net.Conn) error

// A Server is the one loop that hosts every handler. The zero value, and a nil
// pointer, work. Its methods may be called at once; its fields must not change meanwhile.
type Server struct {
	// Drain is how long what is under way may go on after ctx ends. Zero
	// means [DefaultDrain]; negative ends everything at once.
	Drain time.Duration
	// IdleTimeout ends a connection over which nothing went either way for so
	// long. Zero or negative sets no bound.
	IdleTimeout time.Duration
	// Timeout bounds the whole time of a connection. Zero or negative sets no bound.
	Timeout time.Duration
	// Inline answers datagrams by [tincan.ServeDatagrams], without a
	// connection for each peer. It is for handlers that never block and keep
	// neither ctx nor request; the timeouts don't apply.
	Inline bool
	// MaxRequest bounds one message. A peer that sends a longer one is
	// disconnected. Zero or negative means [DefaultMaxRequest].
	MaxRequest tincan.Size
	// Slots, where it isn't nil, bounds by its capacity how many connections are served at once by all
	// servers that share it; it must be empty at first. Further ones wait, one of each listener accepted and the others in
	// the system's queue: so clients wait where their handler would find no descriptor. Those for which
	// there is no slot when the drain begins are turned away. Peers that share a socket, as those of datagrams do, aren't bounded.
	Slots chan struct{}
	// Trace is told of HalfClosed and Closed, and with Inline, where there is
	// no connection to close, by Refused of each request that its handler failed on.
	Trace *tincan.Trace
}

// Values of a [Server]'s fields that are zero.
const (
	DefaultDrain      = 5 * time.Second
	DefaultMaxRequest = 256 << 10 // more than a datagram or Unix packet is by default
)

// drainQuiet is how long a peer must be silent during a drain to be finished with.
const drainQuiet = 200 * time.Millisecond

// ErrDrainOver is why a connection was aborted that outlived the drain of its server.
var ErrDrainOver = errors.New("the server stopped and its drain is over")

// A PanicError is the panic of a handler, which ended its own connection alone.
type PanicError struct {
	// Value is what the handler panicked with; nil for [runtime.Goexit].
	Value any
	// Stack is the handler's stack.
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap gives the panic's value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Serve accepts from l and runs h for each connection in a goroutine of its
// own, handshakes included, so that no client holds up or harms another.
//
// It blocks until ctx ends or l fails, and then drains: what is under way, and
// what the system has accepted before by [tincan.Drain], may go on for s.Drain, and what
// is left is aborted. It closes l as soon as nothing is queued. When Serve
// returns, every handler has. The error is nil after ctx ended, else l's.
func (s *Server) Serve(ctx context.Context, l net.Listener, h StreamHandler) error {
	g := newGroup(ctx, s)
	return g.run(ctx, g.drainListener(l), func() error {
		g.slots = g.server.Slots
		for pause := (pause{}); ; {
			conn, err := l.Accept()
			switch {
			case err != nil && !pause.cures(ctx, err):
				return err
			case err != nil:
				continue
			case !g.takeSlot():
				turnAway(conn)
				return net.ErrClosed
			}
			pause.reset()
			g.start(conn, func(c *connection) error { return h(c, c.stream(conn)) })
		}
	})
}

// A group is the connections of one Serve call.
type group struct {
	server *Server
	trace  tincan.Trace
	ctx    context.Context // of the handlers: ends when the drain is over
	cancel context.CancelFunc
	wg     sync.WaitGroup // of the connections

	slots    chan struct{} // nil where each connection may come at once
	draining chan struct{} // closed when the drain begins
	buffers  sync.Pool     // of *[]byte, for requests

	mu    sync.Mutex // guards what follows, and the parts of a connection that say so
	conns map[*connection]struct{}
	over  time.Time // when the drain that began is over
}

func newGroup(ctx context.Context, s *Server) *group {
	if s == nil {
		s = &Server{}
	}
	g := &group{server: s, conns: map[*connection]struct{}{}, draining: make(chan struct{})}
	if s.Trace != nil {
		g.trace = *s.Trace
	}
	g.buffers.New = func() any {
		size := int(s.MaxRequest)
		if size <= 0 {
			size = DefaultMaxRequest
		}
		b := make([]byte, size)
		return &b
	}
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return g
}

func (g *group) drainLimit() time.Duration {
	if g.server.Drain == 0 {
		return DefaultDrain
	}
	return max(g.server.Drain, 0)
}

// A stopping is how accepting ends.
type stopping struct {
	begin func() // makes accept end, when ctx has
	end   func() // releases what it accepted from, before the drain is waited for
}

// drainListener has l give what is queued already, where it can, and closes it.
func (g *group) drainListener(l interface {
	Addr() net.Addr
	Close() error
},
) stopping {
	shut := func() { _ = l.Close() }
	var late *time.Timer
	return stopping{
		begin: func() {
			if limit := g.drainLimit(); limit > 0 && tincan.Drain(l) == nil {
				late = time.AfterFunc(limit, shut)
			} else {
				shut()
			}
		},
		end: func() {
			if late != nil {
				late.Stop()
			}
			shut()
		},
	}
}

// run accepts until that fails or ctx ends, and drains.
func (g *group) run(ctx context.Context, stop stopping, accept func() error) error {
	stopped := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		defer close(stopped)
		g.beginDrain()
		stop.begin()
	})
	err := accept()
	if forget() {
		g.beginDrain()
	} else {
		<-stopped
		err = nil
	}
	stop.end()
	g.drain()
	return err
}

// beginDrain tells the handlers, and wakes those that asked for it out of Read.
func (g *group) beginDrain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = time.Now().Add(g.drainLimit())
	close(g.draining)
	for c := range g.conns {
		c.drain()
	}
}

// drain waits for every connection, and aborts those that take too long.
func (g *group) drain() {
	defer g.cancel()
	done := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(done)
	}()
	timer := time.NewTimer(time.Until(g.over))
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	g.cancel()
	g.mu.Lock()
	left := make([]*connection, 0, len(g.conns))
	for c := range g.conns {
		left = append(left, c)
	}
	g.mu.Unlock()
	for _, c := range left {
		c.abort(ErrDrainOver)
	}
	<-done
}

// start serves conn in a goroutine, first the handshake and then handle.
func (g *group) start(conn tincan.Conn, handle func(*connection) error) {
	c := &connection{Context: g.ctx, group: g, conn: conn}
	if s := g.server; s.IdleTimeout > 0 || s.Timeout > 0 || g.trace.Closed != nil || g.trace.HalfClosed != nil {
		c.watch = &watch{}
	}
	g.mu.Lock()
	g.conns[c] = struct{}{}
	g.mu.Unlock()
	g.wg.Add(1)
	go c.serve(handle) // without the frames of wg.Go, with which an idle peer's stack outgrows 2 KiB
}

// takeSlot waits until one more connection may be served, and reports false where none may when the drain begins.
func (g *group) takeSlot() bool {
	if g.slots == nil {
		return true
	}
	select {
	case g.slots <- struct{}{}: // in the drain too
		return true
	default:
	}
	select {
	case g.slots <- struct{}{}:
		return true
	case <-g.draining:
		return false
	}
}

// turnAway ends a connection that nobody serves, as the system ends those in its queue when a listener is closed.
func turnAway(c tincan.Conn) {
	if tincan.Abort(c) != nil {
		_ = c.Close()
	}
}

func (g *group) giveSlot() {
	if g.slots != nil {
		<-g.slots
	}
}

// end closes a connection that was served: in order, or where err or a timer ended it by abort.
func (g *group) end(c *connection, err error) {
	g.mu.Lock()
	delete(g.conns, c)
	c.ended = true
	if c.cause != nil {
		err = c.cause
	}
	g.mu.Unlock()
	// A peer that ended without saying so, as some do with TLS, has ended all
	// the same: what was answered must still arrive, which a reset would prevent.
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		abort(c.conn)
	} else {
		_ = c.conn.Close() // the handler has seen every error that matters
	}
	g.giveSlot()
	if g.trace.Closed != nil {
		g.trace.Closed(c.conn, c.watch.received.Load(), c.watch.sent.Load(), err)
	}
}

// abort closes conn so that the peer can tell, where the family knows how.
func abort(conn tincan.Conn) {
	if tincan.Abort(conn) != nil {
		_ = conn.Close()
	}
}

// panicError is what a deferred function makes of recover's value.
func panicError(value any) error { return &PanicError{Value: value, Stack: debug.Stack()} }

// A pause grows with each failure of accepting that time may cure.
type pause struct{ next time.Duration }

func (p *pause) reset() { p.next = 0 }

// cures waits where err is one that time may cure, such as a lack of
// descriptors, and reports whether to try again. tincan's own listeners wait themselves.
func (p *pause) cures(ctx context.Context, err error) bool {
	var temporary interface{ Temporary() bool }
	if !errors.As(err, &temporary) || !temporary.Temporary() || ctx.Err() != nil {
		return false
	}
	p.next = min(max(2*p.next, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(p.next):
		return true
	case <-ctx.Done():
		return false
	}
}
