package pattern

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Socket is a socket of any type of this package.
type Socket interface {
	Listen(ctx context.Context, endpoint string) (net.Addr, error)
	Dial(endpoint string) error
	Unlisten(endpoint string) error
	Undial(endpoint string) error
	Close() error

	core() *socket
}

func (s *socket) core() *socket { return s }

// A Receiver is a socket that gives messages as they come: Pull, Sub, XPub, XSub, Dealer, Router, Pair.
type Receiver interface {
	Socket
	Borrow(ctx context.Context) (*Message, error)
}

// A Sender is a socket that sends messages as they are: Push, Pub, XPub, XSub, Dealer, Router, Pair.
type Sender interface {
	Socket
	Send(ctx context.Context, parts ...[]byte) error
}

// Proxy passes on what front receives to back, and what back receives to front, where their types can: Router and Dealer
// make a queue for requests, XSub and XPub a forwarder, through which subscriptions pass upstream, Pull and Push a streamer. Messages keep their parts.
// Unless capture is nil it is sent every message too, those of both directions.
//
// Proxy blocks until ctx ends, and then gives ctx's error, or until one of the sockets is closed. It closes none of them.
// A socket with no room holds up the one that is received from, as does a capture that blocks; a Pub drops, and so does a Router whose peer has gone.
//
// Nothing is lost when ctx ends: the sockets are not read further, and what they have received is passed on, for which
// the Linger of the socket that sends bounds the wait, as it does for its Close. What is not passed on by then
// can still be received. The sockets are read again once somebody receives more than that.
func Proxy(ctx context.Context, front, back Socket, capture Sender) error {
	outer := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var ways []way
	for _, w := range [][2]Socket{{front, back}, {back, front}} {
		from, receives := w[0].(Receiver)
		to, sends := w[1].(Sender)
		if receives && sends {
			ways = append(ways, way{from, to, capture})
		}
	}
	if len(ways) == 0 {
		return fmt.Errorf("a proxy from %s to %s: %w", front.core().kind, back.core().kind, errors.ErrUnsupported)
	}
	var all sync.WaitGroup
	for _, w := range ways {
		all.Go(func() { stop(w.run(ctx)) })
	}
	all.Wait()
	if outer.Err() != nil {
		return ctxError(outer)
	}
	return context.Cause(ctx)
}

// A way is one direction of a proxy.
type way struct {
	from    Receiver
	to      Sender
	capture Sender
}

// run passes messages on until ctx ends and what was received by then is passed on, or Linger has.
func (w way) run(ctx context.Context) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	var end sync.WaitGroup
	defer end.Wait()
	defer stop()
	end.Go(func() {
		select {
		case <-ctx.Done():
			w.from.core().inbox.pause()
		case <-sending.Done():
			return
		}
		switch linger := w.to.core().opts.Linger; {
		case linger == 0:
			stop()
		case linger > 0:
			timer := time.NewTimer(linger)
			defer timer.Stop()
			select {
			case <-timer.C:
				stop()
			case <-sending.Done():
			}
		}
	})
	for {
		m, err := w.from.Borrow(ctx) // gives what there is also when ctx has ended
		if err != nil {
			return err
		}
		if err := w.pass(sending, m); err != nil {
			return err
		}
	}
}

// pass passes m on. Where that fails m can be received again.
func (w way) pass(ctx context.Context, m *Message) error {
	var err error
	if w.capture != nil {
		err = w.capture.Send(ctx, m.Parts...)
	}
	if err == nil {
		err = w.to.Send(ctx, m.Parts...)
	}
	if err != nil && !errors.Is(err, ErrUnroutable) {
		w.from.core().inbox.putBack(m)
		return err
	}
	m.Release()
	return nil
}
