package tincan

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A ListenConfig listens on endpoints. The zero value, and a nil pointer, work.
// Its methods may be called at once; its fields must not change meanwhile.
type ListenConfig struct {
	Config
}

// Listen binds the endpoint and accepts byte streams. It does not block but
// for looking up a name, which ctx bounds; ending ctx later does not end the listener.
//
// A wrong URL is an [*EndpointError]; other errors are [*net.OpError] with Op
// "listen". A Unix path that is held is [ErrInUse].
func Listen(ctx context.Context, endpoint string) (*Listener, error) {
	return (*ListenConfig)(nil).Listen(ctx, endpoint)
}

// ListenMessage binds the endpoint and accepts message connections. The rest
// is as [Listen] says.
func ListenMessage(ctx context.Context, endpoint string) (MessageListener, error) {
	return (*ListenConfig)(nil).ListenMessage(ctx, endpoint)
}

// Listen is as the function [Listen], with lc's settings.
func (lc *ListenConfig) Listen(ctx context.Context, endpoint string) (*Listener, error) {
	e, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return lc.ListenEndpoint(ctx, e)
}

// ListenEndpoint is Listen for a parsed endpoint.
func (lc *ListenConfig) ListenEndpoint(ctx context.Context, e *Endpoint) (*Listener, error) {
	lc, e = lc.prepare(e)
	t, err := transport(lc.Transports, builtinTransports, "listen", e, "streams")
	if err != nil {
		return nil, err
	}
	ln, err := t.Listen(ctx, lc, e)
	if err != nil {
		return nil, endpointError("listen", e, err)
	}
	return newListener(lc, e, ln), nil
}

// ListenMessage is as the function [ListenMessage], with lc's settings.
func (lc *ListenConfig) ListenMessage(ctx context.Context, endpoint string) (MessageListener, error) {
	e, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return lc.ListenMessageEndpoint(ctx, e)
}

// ListenMessageEndpoint is ListenMessage for a parsed endpoint.
func (lc *ListenConfig) ListenMessageEndpoint(ctx context.Context, e *Endpoint) (MessageListener, error) {
	lc, e = lc.prepare(e)
	t, err := transport(lc.MessageTransports, builtinMessageTransports, "listen", e, "messages")
	if err != nil {
		return nil, err
	}
	ln, err := t.ListenMessage(ctx, lc, e)
	if err != nil {
		return nil, endpointError("listen", e, err)
	}
	return ln, nil
}

// prepare stands in for a nil ListenConfig and merges its options into e's.
func (lc *ListenConfig) prepare(e *Endpoint) (*ListenConfig, *Endpoint) {
	if lc == nil {
		lc = &ListenConfig{}
	}
	merged := *e
	merged.Options.fill(&lc.Options)
	return lc, &merged
}

// A Listener accepts byte streams, under the rules that its endpoint's options
// name. It outlives a lack of descriptors or memory: Accept then pauses,
// longer each time up to a second, and goes on.
type Listener struct {
	ln    net.Listener
	addr  net.Addr
	trace *Trace
	guard *guard // nil where a listener underneath keeps the rules

	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

func newListener(lc *ListenConfig, e *Endpoint, ln net.Listener) *Listener {
	l := &Listener{ln: drainable(ln), addr: ln.Addr(), trace: lc.trace(), closed: make(chan struct{})}
	if _, layered := e.Under(); !layered {
		l.guard = newGuard(&e.Options)
		if f := l.trace.Listening; f != nil {
			f(l.addr)
		}
	}
	return l
}

// Pauses of Accept when the system lacks resources.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// Accept waits for the next connection that the rules allow. Others are
// refused at once. After Close, and at the end of a Drain, the error is [net.ErrClosed].
//
// The connection is the bare one of its family wherever nothing has to be
// added. A handshake, such as that of TLS, is left to the first Read or Write, or
// to [Handshake], so that a slow peer holds up no other.
func (l *Listener) Accept() (net.Conn, error) {
	pause := minPause
	for {
		c, err := l.ln.Accept()
		if err != nil {
			if !scarce(err) {
				return nil, err
			}
			if f := l.trace.Pausing; f != nil {
				f(l.addr, pause, err)
			}
			select {
			case <-time.After(pause):
			case <-l.closed:
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = minPause
		if l.guard == nil {
			return c, nil
		}
		admitted, err := l.guard.admit(c)
		if err != nil {
			if f := l.trace.Refused; f != nil {
				f(l.addr, c.RemoteAddr(), err)
			}
			if Abort(c) != nil {
				_ = c.Close()
			}
			continue
		}
		if f := l.trace.Accepted; f != nil {
			f(l.addr, admitted)
		}
		return admitted, nil
	}
}

// Close stops accepting and releases the address; a Unix path is removed if it
// is still this listener's. Connections accepted before live on.
func (l *Listener) Close() error {
	l.closeOnce.Do(func() {
		close(l.closed)
		l.closeErr = l.ln.Close()
	})
	return l.closeErr
}

// Addr gives the endpoint, an [*Endpoint] with the port that was taken; its
// String can be dialled.
func (l *Listener) Addr() net.Addr { return l.addr }

// boundListener is a listener of the standard library whose Addr is a dialable endpoint.
type boundListener struct {
	net.Listener
	addr *Endpoint
}

func (l *boundListener) Addr() net.Addr { return l.addr }
func (l *boundListener) Drain() error   { return Drain(l.Listener) }

// joinedListener accepts from several listeners as from one.
type joinedListener struct {
	listeners []net.Listener
	addr      *Endpoint
	conns     chan net.Conn
	errs      chan error
	done      chan struct{}
	ended     chan struct{} // closed when no listener accepts any more
	accepting atomic.Int32  // how many do
	start     sync.Once
	closeOnce sync.Once
	wg        sync.WaitGroup
}

func joinListeners(addr *Endpoint, listeners ...net.Listener) net.Listener {
	for i, ln := range listeners {
		listeners[i] = drainable(ln)
	}
	if len(listeners) == 1 {
		return &boundListener{listeners[0], addr}
	}
	return &joinedListener{
		listeners: listeners,
		addr:      addr,
		conns:     make(chan net.Conn),
		errs:      make(chan error),
		done:      make(chan struct{}),
		ended:     make(chan struct{}),
	}
}

func (l *joinedListener) Accept() (net.Conn, error) {
	l.start.Do(func() {
		l.accepting.Store(int32(len(l.listeners)))
		for _, ln := range l.listeners {
			l.wg.Go(func() { l.acceptFrom(ln) })
		}
	})
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.ended:
	case <-l.done:
	}
	return nil, &net.OpError{Op: "accept", Net: l.addr.Scheme, Addr: l.addr, Err: net.ErrClosed}
}

// acceptFrom hands on what ln accepts, and each error, until the end; whoever
// reads the error decides whether to come back.
func (l *joinedListener) acceptFrom(ln net.Listener) {
	defer func() {
		if l.accepting.Add(-1) == 0 {
			close(l.ended)
		}
	}()
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case l.errs <- err:
				continue
			case <-l.done:
				return
			}
		}
		select {
		case l.conns <- c:
		case <-l.done:
			_ = c.Close()
			return
		}
	}
}

// Drain ends each listener's accepting on its own; Accept ends with the last.
func (l *joinedListener) Drain() error {
	var errs []error
	for _, ln := range l.listeners {
		errs = append(errs, Drain(ln))
	}
	return errors.Join(errs...)
}

func (l *joinedListener) Close() error {
	var errs []error
	l.closeOnce.Do(func() {
		l.start.Do(func() {}) // no goroutine starts from here on
		close(l.done)
		for _, ln := range l.listeners {
			errs = append(errs, ln.Close())
		}
		l.wg.Wait()
	})
	return errors.Join(errs...)
}

func (l *joinedListener) Addr() net.Addr { return l.addr }
