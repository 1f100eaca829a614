package tincan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// ctxGuard makes one direction of a socket obey contexts, by way of the
// socket's deadline. As most callers pass the same context again and again, it
// stays registered with a context between calls, and a call with the same one,
// or with one that never ends, costs next to nothing.
//
// enter and explain are for whoever holds the direction; release may be called at any time.
type ctxGuard struct {
	setDeadline func(time.Time) error
	done        <-chan struct{} // of the context that is watched

	mu    sync.Mutex // guards what follows
	stop  func() bool
	turn  uint64 // counts contexts, so that a late call of an earlier one does nothing
	fired bool   // the deadline is set
}

// enter makes the direction obey ctx from here on. The error is ctx's, where it has ended.
func (g *ctxGuard) enter(ctx context.Context) error {
	done := ctx.Done()
	if done != g.done {
		g.watch(ctx, done)
	}
	if done != nil {
		select {
		case <-done:
			return ctxError(ctx)
		default:
		}
	}
	return nil
}

func (g *ctxGuard) watch(ctx context.Context, done <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave()
	if g.fired {
		g.fired = false
		_ = g.setDeadline(time.Time{})
	}
	g.done = done
	if done == nil {
		return
	}
	turn := g.turn
	g.stop = context.AfterFunc(ctx, func() { g.expire(turn) })
}

// leave ends the watch; g.mu is held.
func (g *ctxGuard) leave() {
	g.turn++
	if g.stop != nil {
		g.stop()
		g.stop = nil
	}
}

func (g *ctxGuard) expire(turn uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if turn == g.turn {
		g.fired = true
		_ = g.setDeadline(longAgo)
	}
}

// release lets go of the context, which may outlive the socket by far.
func (g *ctxGuard) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave()
}

// explain gives ctx's error in place of the passed deadline that brought it about.
func explain(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctxError(ctx)
	}
	return err
}

// ctxError tells why ctx ended: its error and, where another was given, its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// ioError makes err a [*net.OpError] of a message connection. It takes off the
// one that the standard library put around it.
func ioError(op, network string, local, remote net.Addr, err error) error {
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		err = opErr.Err
	}
	if isTooLong(err) {
		err = fmt.Errorf("%w: %w", ErrMessageTooLong, err)
	}
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}
