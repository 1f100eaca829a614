package relay

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A dialFunc is a method of a dialler.
type dialFunc[C tincan.Conn] func(*tincan.Dialer, context.Context, *tincan.Endpoint) (C, error)

// dialFor finds p's client a target, and has move prepare what is then to be run. Otherwise the client is ended.
//
// A goroutine of its own does so, whose stack goes with it: dialling grows one to 8 KiB, which a
// pair would hold for as long as it lives.
func dialFor[C tincan.Conn](f *Forwarder, p *pair, dial dialFunc[C], move func(target C)) error {
	done := make(chan error)
	go func() {
		var (
			client   = p.conns[0]
			target   tincan.Conn
			err      error
			returned bool
		)
		defer func() {
			if !returned {
				err = newPanicError(recover())
			}
			if err != nil {
				if target != nil {
					abort(target)
				}
				abort(client) // an orderly end would look like an empty answer
			}
			done <- err
		}()
		var c C
		if c, p.target, err = dialWhileHere(p.ctx, f, client, dial); err == nil {
			target = c
			f.found(p)
			p.join(client, target, f.options(client, target))
			move(c)
		}
		returned = true
	}()
	return <-done
}

// ErrClientLeft is a client that was gone before a target had answered, and had left nothing to be passed on.
var ErrClientLeft = errors.New("left before a target answered")

// lookAfter is how long dialling takes before it is worth to look whether the client still waits for it.
const lookAfter = 100 * time.Millisecond

// dialWhileHere dials until client is known to have gone, which then is the error.
func dialWhileHere[C tincan.Conn](ctx context.Context, f *Forwarder, client tincan.Conn, dial dialFunc[C]) (C, *tincan.Endpoint, error) {
	here, cancel := context.WithCancelCause(withClient(ctx, client))
	defer cancel(nil)
	stream, ok := client.(net.Conn)
	if !ok {
		return dialAny(here, f, client, dial)
	}
	looked := make(chan struct{})
	looking := time.AfterFunc(lookAfter, func() {
		defer close(looked)
		if err := awaitLeft(stream); err != nil {
			cancel(&EndError{Direction: Forward, Reading: true, Err: err})
		}
	})
	c, e, err := dialAny(here, f, client, dial)
	if !looking.Stop() {
		_ = stream.SetReadDeadline(past)
		<-looked
		_ = stream.SetReadDeadline(time.Time{})
	}
	var left *EndError
	if err != nil && errors.As(context.Cause(here), &left) {
		err = left
	}
	return c, e, err
}

// dialAny gives a connection to the first target that answers, or the last error.
func dialAny[C tincan.Conn](ctx context.Context, f *Forwarder, client tincan.Conn, dial dialFunc[C]) (c C, e *tincan.Endpoint, err error) {
	if len(f.Targets) == 0 {
		return c, nil, ErrNoTarget
	}
	var once tincan.Dialer
	if f.Dialer != nil {
		once = *f.Dialer
	}
	if f.DialTrace != nil {
		once.Trace = f.DialTrace(client)
	}
	retry := once.Retry
	once.Retry = false    // all targets are tried before any is tried again
	var lacking time.Time // since when the system lacked something
	for attempt := 1; ; attempt++ {
		passing := false // time may cure one of the failures
		for _, e = range f.order() {
			c, err = dial(&once, ctx, e)
			if err != nil && ctx.Err() != nil || lacks(err) { // which tells nothing of the target
				break
			}
			f.mark(e, err == nil)
			if err == nil {
				return c, e, nil
			}
			passing = passing || tincan.KindOf(err).Passing()
		}
		wait := once.Backoff.Wait(attempt)
		switch {
		case ctx.Err() != nil:
			return c, e, err
		case lacks(err):
			if lacking.IsZero() {
				lacking = time.Now()
			}
			if once.Timeout > 0 {
				wait = min(wait, once.Timeout-time.Since(lacking))
			}
			if wait <= 0 {
				return c, e, err
			}
		case !retry || !passing:
			return c, e, err
		default:
			lacking = time.Time{}
		}
		if trace := once.Trace; trace != nil && trace.Retrying != nil {
			trace.Retrying(e, attempt, wait, err)
		}
		if f.Retrying != nil {
			f.Retrying(client)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return c, e, err
		}
	}
}

// lacks reports that err came of a lack of descriptors or memory, which the end of other connections will cure.
func lacks(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}
