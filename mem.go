package tincan

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// memBacklog bounds the connections that wait to be accepted, unless an option does.
const memBacklog = 128

// memNames are the listeners by name, streams and messages alike. There is one
// such table in a process, as there is one table of ports in a host: a dialer
// and a listener that share nothing but a URL must find each other. Nothing
// waits while holding its mutex.
var memNames struct {
	mu        sync.Mutex
	listeners map[string]any // *memListener[net.Conn] or *memListener[MessageConn]
}

// memTransport connects goroutines of one process, with the manners of a Unix
// socket, and without goroutines or resources of the system of its own.
type memTransport struct{}

func (memTransport) Dial(ctx context.Context, d *Dialer, e *Endpoint) (net.Conn, error) {
	return dialMem(ctx, d, e, func(l *memListener[net.Conn]) (dialled, accepted net.Conn) {
		a, b := memPair(l.addr, memStreamBytes, memStreamBytes, false)
		return memStream{a}, memStream{b}
	})
}

func (memTransport) DialMessage(ctx context.Context, d *Dialer, e *Endpoint) (MessageConn, error) {
	return dialMem(ctx, d, e, func(l *memListener[MessageConn]) (dialled, accepted MessageConn) {
		a, b := memPair(l.addr, maxMessage(e), l.maxMessage, true)
		return memMessageConn{a}, memMessageConn{b}
	})
}

// dialMem makes a pair and waits for room in the backlog of whoever listens on the name.
func dialMem[C Conn](ctx context.Context, d *Dialer, e *Endpoint, pair func(*memListener[C]) (dialled, accepted C)) (c C, err error) {
	trace := d.trace()
	if f := trace.Connecting; f != nil {
		f(e.Scheme, e.Path)
	}
	if f := trace.Connected; f != nil {
		start := time.Now()
		defer func() { f(e.Scheme, e.Path, time.Since(start), err) }()
	}
	memNames.mu.Lock()
	found, ok := memNames.listeners[e.Path]
	memNames.mu.Unlock()
	if !ok {
		return c, syscall.ECONNREFUSED
	}
	l, ok := found.(*memListener[C])
	if !ok {
		return c, syscall.EPROTOTYPE // as connect(2) has it: a stream meets messages
	}
	dialled, accepted := pair(l)
	if err := l.enqueue(ctx, accepted); err != nil {
		return c, err
	}
	return dialled, nil
}

func (memTransport) Listen(_ context.Context, _ *ListenConfig, e *Endpoint) (net.Listener, error) {
	l, err := listenMem[net.Conn](e)
	if err != nil {
		return nil, err
	}
	return memStreamListener{l}, nil
}

func (memTransport) ListenMessage(_ context.Context, lc *ListenConfig, e *Endpoint) (MessageListener, error) {
	l, err := listenMem[MessageConn](e)
	if err != nil {
		return nil, err
	}
	l.trace = lc.trace()
	if f := l.trace.Listening; f != nil {
		f(l.addr)
	}
	return l, nil
}

// maxMessage gives the longest message that this side of e takes.
func maxMessage(e *Endpoint) int {
	if e.Options.MaxMessage == 0 {
		return DefaultMaxMessage
	}
	return int(e.Options.MaxMessage)
}

// A memListener holds connections that were dialled and not accepted yet.
type memListener[C Conn] struct {
	addr       *Endpoint
	backlog    int
	maxMessage int
	trace      *Trace

	mu      sync.Mutex // guards what follows
	queue   []C
	closed  bool
	arrived wait.Gate
	room    wait.Gate
}

// listenMem takes e's name.
func listenMem[C Conn](e *Endpoint) (*memListener[C], error) {
	l := &memListener[C]{
		addr: e.boundAddr(), backlog: e.Options.Backlog, maxMessage: maxMessage(e),
		trace: &Trace{},
	}
	if l.backlog == 0 {
		l.backlog = memBacklog
	}
	memNames.mu.Lock()
	defer memNames.mu.Unlock()
	if _, taken := memNames.listeners[e.Path]; taken {
		return nil, ErrInUse
	}
	if memNames.listeners == nil {
		memNames.listeners = map[string]any{}
	}
	memNames.listeners[e.Path] = l
	return l, nil
}

// enqueue hands c to the listener; it waits while the backlog is full.
func (l *memListener[C]) enqueue(ctx context.Context, c C) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.room.Open() // the next dialer looks for itself
	for {
		switch {
		case l.closed:
			return syscall.ECONNREFUSED
		case ctx.Err() != nil:
			return ctxError(ctx)
		case len(l.queue) < l.backlog:
			l.queue = append(l.queue, c)
			l.arrived.Open()
			return nil
		}
		l.room.Wait(ctx, &l.mu)
	}
}

// Accept waits for the next connection, until ctx ends or l is closed.
func (l *memListener[C]) Accept(ctx context.Context) (C, error) {
	c, err := l.dequeue(ctx)
	if err != nil {
		return c, &net.OpError{Op: "accept", Net: l.addr.Scheme, Addr: l.addr, Err: err}
	}
	if f := l.trace.Accepted; f != nil {
		f(l.addr, c)
	}
	return c, nil
}

func (l *memListener[C]) dequeue(ctx context.Context) (c C, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.arrived.Open()
	for {
		switch {
		case l.closed:
			return c, net.ErrClosed
		case ctx.Err() != nil:
			return c, ctxError(ctx)
		case len(l.queue) > 0:
			var none C
			c, l.queue[0] = l.queue[0], none
			l.queue = l.queue[1:]
			l.room.Open()
			return c, nil
		}
		l.arrived.Wait(ctx, &l.mu)
	}
}

// Close releases the name. Connections that were not accepted are reset, as
// those of a Unix socket's backlog are.
func (l *memListener[C]) Close() error {
	for _, c := range l.shut() {
		_ = Abort(c)
	}
	return nil
}

func (l *memListener[C]) shut() (queued []C) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil // the name may be another's by now
	}
	l.closed = true
	memNames.mu.Lock()
	delete(memNames.listeners, l.addr.Path)
	memNames.mu.Unlock()
	queued, l.queue = l.queue, nil
	l.arrived.Open()
	l.room.Open()
	return queued
}

// Addr gives the endpoint, which can be dialled.
func (l *memListener[C]) Addr() net.Addr { return l.addr }

// memStreamListener is the listener as the standard library has it.
type memStreamListener struct{ *memListener[net.Conn] }

func (l memStreamListener) Accept() (net.Conn, error) {
	return l.memListener.Accept(context.Background())
}
