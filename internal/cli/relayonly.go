package cli

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan"
)

// An onlyClient makes a relay accept one client and end with it: TO is such
// that there is but one. The methods of a nil onlyClient leave everything as it is.
type onlyClient struct {
	r    *relaying
	take chan struct{} // holds one token, for who accepts first
	done chan struct{} // closed when the client has ended, and err is set
	once sync.Once
	err  error
}

func newOnlyClient(r *relaying) *onlyClient {
	o := &onlyClient{r: r, take: make(chan struct{}, 1), done: make(chan struct{})}
	o.take <- struct{}{}
	return o
}

// ended notes how the client ended.
func (o *onlyClient) ended(err error) {
	if o == nil {
		return
	}
	o.once.Do(func() {
		if !errors.Is(err, errDrained) && !errors.As(err, new(interruptError)) {
			o.err = err
		}
		close(o.done)
	})
}

// served reports whether there was a client.
func (o *onlyClient) served() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

func (o *onlyClient) streams(l *tincan.Listener) net.Listener {
	if o == nil {
		return l
	}
	return &onlyStream{Listener: l, o: o}
}

func (o *onlyClient) messages(l tincan.MessageListener) tincan.MessageListener {
	if o == nil {
		return l
	}
	return &onlyMessages{MessageListener: l, o: o}
}

// An onlyStream ends when its first client has. Nobody else is accepted: the address is free again.
type onlyStream struct {
	*tincan.Listener
	o *onlyClient
}

func (l *onlyStream) Accept() (net.Conn, error) {
	select {
	case <-l.o.take:
		c, err := l.Listener.Accept()
		if err == nil {
			_ = l.Close()
		}
		return c, err
	case <-l.o.done:
	case <-l.o.r.stopping.Done():
	}
	return nil, net.ErrClosed
}

// An onlyMessages is the same for messages. The socket of datagrams must stay, and others are refused.
type onlyMessages struct {
	tincan.MessageListener
	o *onlyClient
}

func (l *onlyMessages) Accept(ctx context.Context) (tincan.MessageConn, error) {
	select {
	case <-l.o.take:
		return l.MessageListener.Accept(ctx)
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.o.r.stopping, cancel)()
	go func() {
		select {
		case <-l.o.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	l.o.r.refuseOthers(ctx, l.MessageListener)
	return nil, net.ErrClosed
}
