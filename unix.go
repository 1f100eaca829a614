package tincan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// unixTransport opens Unix stream sockets.
type unixTransport struct{}

func (unixTransport) Dial(ctx context.Context, d *Dialer, e *Endpoint) (net.Conn, error) {
	if err := checkAbstract(e); err != nil {
		return nil, err
	}
	nd := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, &e.Options) }}
	return dialUnix(d.trace().dialContext(ctx), &nd, e)
}

// dialUnix connects to e's path. A listener whose backlog is full answers EAGAIN at once, where TCP would
// make the caller wait; so it waits here. See unix(7), connect(2).
func dialUnix(ctx context.Context, nd *net.Dialer, e *Endpoint) (net.Conn, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		c, err := nd.DialContext(ctx, e.Scheme, e.Path)
		if !errors.Is(err, syscall.EAGAIN) {
			return c, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the listener's backlog is full", context.Cause(ctx))
		}
	}
}

func (unixTransport) Listen(_ context.Context, _ *ListenConfig, e *Endpoint) (net.Listener, error) {
	return listenUnix(e, syscall.SOCK_STREAM)
}

// checkAbstract refuses an abstract name where the system has none.
func checkAbstract(e *Endpoint) error {
	if strings.HasPrefix(e.Path, "@") && runtime.GOOS != "linux" {
		return fmt.Errorf("abstract name: %w on %s", errors.ErrUnsupported, runtime.GOOS)
	}
	return nil
}

// unixListener removes its path when it is closed.
type unixListener struct {
	*net.UnixListener
	path unixPath
	addr *Endpoint
}

// Close removes the path first: while the socket is open its inode can't be
// reused, so the path that has it is still ours.
func (l *unixListener) Close() error {
	return errors.Join(l.path.remove(), l.UnixListener.Close())
}

func (l *unixListener) Addr() net.Addr { return l.addr }

// boundAddr is e as it is told to others: without options, which are this side's own.
func (e *Endpoint) boundAddr() *Endpoint {
	addr := *e
	addr.Options = Options{}
	return &addr
}
