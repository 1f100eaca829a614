package ws

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan"
)

// listener accepts streams; their upgrade comes later.
type listener struct {
	*tincan.Listener // of the endpoint below
	e                *tincan.Endpoint
	addr             *tincan.Endpoint
	trace            *tincan.Trace
}

func listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (*listener, error) {
	under, _ := e.Under()
	ln, err := lc.ListenEndpoint(ctx, under)
	if err != nil {
		return nil, err
	}
	addr := *ln.Addr().(*tincan.Endpoint)
	addr.Scheme, addr.Resource = e.Scheme, e.Resource
	return &listener{ln, e, &addr, lc.Trace}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	lower, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newStream(lower, l.e, l.trace), nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// messageListener accepts message connections. One goroutine accepts, so that
// a caller's ctx can end the wait while the connection it waited for is kept for the next.
type messageListener struct {
	*listener
	start     sync.Once
	accepted  chan accepted // closed when there will be no more
	done      chan struct{} // closed by Close
	wg        sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

type accepted struct {
	lower net.Conn
	err   error
}

func newMessageListener(l *listener) *messageListener {
	return &messageListener{listener: l, accepted: make(chan accepted), done: make(chan struct{})}
}

func (l *messageListener) Accept(ctx context.Context) (tincan.MessageConn, error) {
	l.start.Do(func() { l.wg.Go(l.acceptAll) })
	err := ctx.Err()
	if err == nil {
		select {
		case a, more := <-l.accepted:
			switch {
			case !more:
				err = net.ErrClosed
			case a.err != nil:
				return nil, a.err
			default:
				return newMessages(a.lower, l.e, l.trace), nil
			}
		case <-ctx.Done():
			err = ctx.Err()
		case <-l.done:
			err = net.ErrClosed
		}
	}
	return nil, &net.OpError{Op: "accept", Net: l.addr.Scheme, Addr: l.addr, Err: err}
}

func (l *messageListener) acceptAll() {
	defer close(l.accepted)
	for {
		lower, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case l.accepted <- accepted{lower, err}:
		case <-l.done:
			if err == nil {
				_ = lower.Close()
			}
			return
		}
	}
}

func (l *messageListener) Close() error {
	l.closeOnce.Do(func() {
		l.start.Do(func() {}) // no goroutine starts from here on
		close(l.done)
		l.closeErr = l.listener.Close()
		l.wg.Wait()
	})
	return l.closeErr
}
