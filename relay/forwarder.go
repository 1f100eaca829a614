package relay

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
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
	// A lack of descriptors or memory is waited out in any case, for as long as its Timeout.
	Dialer *tincan.Dialer
	// Options hold for each pair.
	Options Options
	// Prepare may change the options of one pair, of which o is a copy. Nil leaves them.
	Prepare func(client, target tincan.Conn, o *Options)
	// Retrying is told that no target has answered client, before the wait for the next try. Nil does nothing.
	Retrying func(client tincan.Conn)
	// MaxMessage bounds a message in bytes. Zero means [tincan.DefaultMaxMessage].
	MaxMessage int
	// DialTrace gives the trace that is told of the dialling for one client, in place of the Dialer's. Nil leaves that.
	DialTrace func(client tincan.Conn) *tincan.Trace
	// Ended is told how each pair ended.
	Ended func(client tincan.Conn, target *tincan.Endpoint, r Result, err error)

	mu   sync.Mutex // guards what follows
	turn uint
	down map[*tincan.Endpoint]time.Time
	live map[*pair]struct{} // of clients that are here
	past Stats              // what clients that are gone did, and how many came in all
}

// ErrNoTarget is a [Forwarder] without Targets.
var ErrNoTarget = errors.New("no target")

// Stream dials a target and relays client until both have ended. What the
// client sends meanwhile waits in its socket. The error is that of the last
// target when none answers, else as from [Streams]. On Linux a client that resets the connection
// before a target has answered ends the search, as one on a Unix socket does that is gone and has sent nothing; it is
// an [*EndError]. A half-close ends nothing, and of TCP it can't be told from the client's end.
func (f *Forwarder) Stream(ctx context.Context, client net.Conn) error {
	p := f.enter(ctx, client)
	err := dialFor(f, p, (*tincan.Dialer).DialEndpoint, func(target net.Conn) { p.moveStreams(client, target) })
	if err == nil {
		err = p.run()
	}
	f.leave(p, err)
	return err
}

// Message is Stream for message connections.
func (f *Forwarder) Message(ctx context.Context, client tincan.MessageConn) error {
	p := f.enter(ctx, client)
	err := dialFor(f, p, (*tincan.Dialer).DialMessageEndpoint, func(target tincan.MessageConn) { p.moveMessages(client, target, f.MaxMessage) })
	if err == nil {
		err = p.run()
	}
	f.leave(p, err)
	return err
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
