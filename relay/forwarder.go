package relay

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A Forwarder gives each connection that it is handed a connection of its own
// to one of its targets, and relays between the two. Its Stream and Message
// methods are handlers of package service. Its fields must not change once it is in use.
type Forwarder struct {
	// Targets are tried in their order until one answers. Without one the error is [ErrNoTarget].
	Targets []*tincan.Endpoint
	// Balance starts with each target in turn, those that rest aside, instead of with the first.
	Balance bool
	// Rest is how long a target that could not be reached is tried after the
	// others. Zero means 10 s; negative forgets at once.
	Rest time.Duration
	// Dialer connects to targets. With Retry all of them are tried again, by its Backoff, until one answers.
	Dialer *tincan.Dialer
	// Options hold for each pair.
	Options Options
	// Prepare may change the options of one pair, of which o is a copy. Nil leaves them.
	Prepare func(client, target tincan.Conn, o *Options)
	// Retrying is told that no target has answered client, before the wait for the next try. Nil does nothing.
	Retrying func(client tincan.Conn)
	// MaxMessage bounds a message in bytes. Zero means [tincan.DefaultMaxMessage].
	MaxMessage int
	// Ended is told how each pair ended.
	Ended func(client tincan.Conn, target *tincan.Endpoint, r Result, err error)

	mu   sync.Mutex // guards what follows
	turn uint
	down map[*tincan.Endpoint]time.Time
	live map[*Pair]*pair // the pairs of clients that are here; nil while no target has answered
	past Stats           // what clients that are gone did, and how many came in all
}

// ErrNoTarget is a [Forwarder] without Targets.
var ErrNoTarget = errors.New("no target")

// Stream dials a target and relays client until both have ended. What the
// client sends meanwhile waits in its socket. The error is that of the last
// target when none answers, else as from [Streams]. Where it can be seen, a client that
// is gone and has left nothing to pass on is not dialled for again: an [*EndError] that wraps [syscall.ECONNRESET].
func (f *Forwarder) Stream(ctx context.Context, client net.Conn) error {
	return forward(ctx, f, client, (*tincan.Dialer).DialEndpoint, func(p *pair, target net.Conn) (Result, error) {
		return p.relayStreams(client, target)
	})
}

// Message is Stream for message connections.
func (f *Forwarder) Message(ctx context.Context, client tincan.MessageConn) error {
	return forward(ctx, f, client, (*tincan.Dialer).DialMessageEndpoint, func(p *pair, target tincan.MessageConn) (Result, error) {
		return p.relayMessages(client, target, f.MaxMessage)
	})
}

// options gives those of one pair.
func (f *Forwarder) options(client, target tincan.Conn) *Options {
	if f.Prepare == nil {
		return &f.Options
	}
	o := f.Options
	f.Prepare(client, target, &o)
	return &o
}

func forward[C tincan.Conn](ctx context.Context, f *Forwarder, client tincan.Conn, dial func(*tincan.Dialer, context.Context, *tincan.Endpoint) (C, error), relay func(*pair, C) (Result, error)) error {
	id := f.enter(client)
	target, e, err := dialAny(withClient(ctx, client), f, client, dial)
	var r Result
	if err == nil {
		p := newPair(ctx, client, target, f.options(client, target))
		f.join(id, e, p)
		r, err = relay(p, target)
	} else if tincan.Abort(client) != nil { // an orderly end would look like an empty answer
		_ = client.Close()
	}
	f.leave(id, err)
	f.ended(client, e, r, err)
	return err
}

func (f *Forwarder) ended(client tincan.Conn, target *tincan.Endpoint, r Result, err error) {
	if f.Ended != nil {
		f.Ended(client, target, r, err)
	}
}

// dialAny gives a connection to the first target that answers, or the last error.
func dialAny[C tincan.Conn](ctx context.Context, f *Forwarder, client tincan.Conn, dial func(*tincan.Dialer, context.Context, *tincan.Endpoint) (C, error)) (c C, e *tincan.Endpoint, err error) {
	if len(f.Targets) == 0 {
		return c, nil, ErrNoTarget
	}
	var once tincan.Dialer
	if f.Dialer != nil {
		once = *f.Dialer
	}
	retry := once.Retry
	once.Retry = false // all targets are tried before any is tried again
	for attempt := 1; ; attempt++ {
		passing := false // time may cure one of the failures
		for _, e = range f.order() {
			c, err = dial(&once, ctx, e)
			if err != nil && ctx.Err() != nil { // which tells nothing of the target
				return c, e, err
			}
			f.mark(e, err == nil)
			if err == nil {
				return c, e, nil
			}
			passing = passing || tincan.KindOf(err).Passing()
		}
		if !retry || !passing {
			return c, e, err
		}
		wait := once.Backoff.Wait(attempt)
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
		if abandoned(client) { // else those who come and go while all targets are down would add up
			return c, e, &EndError{Direction: Forward, Reading: true, Err: syscall.ECONNRESET}
		}
	}
}

// order lists the targets as they are to be tried: those that rest last.
func (f *Forwarder) order() []*tincan.Endpoint {
	rest := f.Rest
	if rest == 0 {
		rest = 10 * time.Second
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var ready, resting []*tincan.Endpoint
	for _, e := range f.Targets {
		if since, ok := f.down[e]; ok && time.Since(since) < rest {
			resting = append(resting, e)
		} else {
			ready = append(ready, e)
		}
	}
	if f.Balance && len(ready) > 0 { // in turn among these: one that rests would leave its share to the next alone
		first := int(f.turn % uint(len(ready)))
		f.turn++
		ready = append(slices.Clone(ready[first:]), ready[:first]...)
	}
	return append(ready, resting...)
}

// mark notes whether e answered.
func (f *Forwarder) mark(e *tincan.Endpoint, up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if up {
		delete(f.down, e)
		return
	}
	if f.down == nil {
		f.down = map[*tincan.Endpoint]time.Time{}
	}
	f.down[e] = time.Now()
}
