// Package relay joins two connections so that what one side sends the other
// receives, whole and in order, with each end passed on as what it was: a
// half-close as a half-close, a reset as a reset.
//
// [Streams] relays byte streams, on Linux without copying them through the
// process where both are sockets; [Messages] relays messages with their boundaries.
package relay

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/time/rate"
)

// A Direction is one of the two ways that data takes through a relay.
type Direction int

// The directions of a relay.
const (
	Forward  Direction = iota // from the first connection to the second
	Backward                  // from the second to the first
)

// String gives "forward" or "backward".
func (d Direction) String() string { return [...]string{"forward", "backward"}[d] }

// Options bound and watch one relayed pair. The zero value, and nil, set no bound.
type Options struct {
	// IdleTimeout ends the pair when nothing has passed either way for so long,
	// what Limiters hold back aside. Zero or negative: never.
	IdleTimeout time.Duration
	// Timeout ends the pair after so long in all. Zero or negative: never.
	Timeout time.Duration
	// Limiters each bound the bytes per second, of both directions together; one limiter
	// may be shared by many pairs. No more than a limiter's burst is moved at once, so it should be 64 KiB or more.
	Limiters []*rate.Limiter
	// Tap is given all that passes, in order within a direction, before it is
	// sent on; it must not keep or change p. It is called from two goroutines, and what passes
	// must then be copied through the process.
	Tap func(d Direction, p []byte)
	// EndWait bounds, where a connection has no half-close, how long it may still be silent
	// once its input has ended, before it is closed. Zero or negative means 1 s.
	EndWait time.Duration
	// Trace is told of half-closes, and of messages that were dropped.
	Trace *tincan.Trace
}

// A Result is how a relayed pair ended: the bytes (or for messages, the payload bytes) that were passed on each way.
type Result struct {
	Forward, Backward int64
}

// An EndError tells why a pair ended before both directions had ended in order.
type EndError struct {
	// Direction is the way in which it failed.
	Direction Direction
	// Reading is set where receiving failed, else sending did.
	Reading bool
	// Err is the cause.
	Err error
}

// First reports whether it was the first connection that failed, else it was the second.
func (e *EndError) First() bool { return (e.Direction == Forward) == e.Reading }

func (e *EndError) Error() string {
	verb, side := "sending to", "second"
	if e.Reading {
		verb = "receiving from"
	}
	if e.First() {
		side = "first"
	}
	return fmt.Sprintf("%s the %s side: %v", verb, side, e.Err)
}

// Unwrap gives the cause.
func (e *EndError) Unwrap() error { return e.Err }

// Streams relays between two byte streams until both directions have ended,
// then closes both. It takes them over: nobody else may use them meanwhile.
// On Linux the send buffer of a Unix socket that bulk goes to is doubled, unless it isn't the system's default.
//
// The end of one direction is passed on as a half-close and the other goes on.
// A reset, or any failure to read, is passed on as a reset ([tincan.Reset])
// where the family has one, behind what came before it. When sending fails,
// what still comes the other way is delivered before that side is reset.
//
// It blocks until both have ended or ctx does, which aborts both. The error is nil after an orderly
// end, ctx's cause, an [*EndError] or, where a function of o panicked, a [*PanicError]; a timeout of o
// is an [os.ErrDeadlineExceeded]. o may be nil.
func Streams(ctx context.Context, first, second net.Conn, o *Options) (Result, error) {
	p := newPair(ctx, first, second, o)
	p.moveStreams(first, second)
	err := p.run()
	return p.result(), err
}

// moveStreams has p move bytes, once it is run.
func (p *pair) moveStreams(first, second net.Conn) {
	p.streams = true
	m := newMovers(p, first, second)
	p.ways = [2]func() error{m[Forward].move, m[Backward].move}
	p.stop = p.watch()
}
