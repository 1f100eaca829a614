// Package relay joins two connections so that what one side sends the other
// receives, whole and in order, with each end passed on as what it was: a
// half-close as a half-close, a reset as a reset.
//
// [Streams] relays byte streams, on Linux without copying them through the
// process where both are sockets; [Messages] relays messages with their boundaries.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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
	// IdleTimeout ends the pair when nothing has passed either way for so long. Zero or negative: never.
	IdleTimeout time.Duration
	// Timeout ends the pair after so long in all. Zero or negative: never.
	Timeout time.Duration
	// Limiters each bound the bytes per second, of both directions together; one limiter
	// may be shared by many pairs. A limiter's burst should be 64 KiB or more.
	Limiters []*rate.Limiter
	// Tap is given all that passes, in order within a direction, before it is
	// sent on; it must not keep or change p. It is called from two goroutines, and what passes
	// must then be copied through the process.
	Tap func(d Direction, p []byte)
	// EndWait bounds, where a connection has no half-close, how long the
	// other direction may be silent once the input for it has ended. Zero means 1 s.
	EndWait time.Duration
	// Trace is told of half-closes.
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

// Side tells which connection failed: Local for the first, Remote for the second.
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

// pair is two connections being joined.
type pair struct {
	conns   [2]tincan.Conn
	o       Options
	count   [2]atomic.Int64
	touched atomic.Int64     // when something last passed, in Unix nanoseconds
	over    [2]chan struct{} // closed when that direction has ended

	mu  sync.Mutex // guards err
	err error      // the first, which is the cause of what followed
}

// Streams relays between two byte streams until both directions have ended,
// then closes both. It takes them over: nobody else may use them meanwhile.
//
// The end of one direction is passed on as a half-close and the other goes on.
// A reset, or any failure to read, is passed on as a reset ([tincan.Abort])
// where the family has one. When sending fails, what still comes the other way
// is delivered before that side is reset.
//
// It blocks until both have ended or ctx does, which resets both. The error is
// nil after an orderly end, ctx's cause, or an [*EndError]; a timeout is [os.ErrDeadlineExceeded] in one.
func Streams(ctx context.Context, first, second net.Conn, o *Options) (Result, error) {
	p := newPair(first, second, o)
	defer p.watch(ctx, first.SetDeadline, second.SetDeadline)()
	var wg sync.WaitGroup
	wg.Go(func() { p.stream(ctx, Backward, second, first) })
	p.stream(ctx, Forward, first, second)
	wg.Wait()
	return p.end()
}

func newPair(first, second tincan.Conn, o *Options) *pair {
	p := &pair{conns: [2]tincan.Conn{first, second}, over: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	if o != nil {
		p.o = *o
	}
	if p.o.EndWait <= 0 {
		p.o.EndWait = time.Second
	}
	if p.o.Trace == nil {
		p.o.Trace = &tincan.Trace{}
	}
	p.touched.Store(time.Now().UnixNano())
	return p
}

// watch interrupts the pair when ctx ends or a timeout passes, through the
// connections' deadlines. stop must be called at the end.
func (p *pair) watch(ctx context.Context, deadlines ...func(time.Time) error) (stop func()) {
	interrupt := func(cause error) {
		p.fail(cause)
		for _, set := range deadlines {
			_ = set(time.Unix(1, 0))
		}
	}
	stops := []func() bool{context.AfterFunc(ctx, func() { interrupt(context.Cause(ctx)) })}
	if p.o.Timeout > 0 {
		stops = append(stops, time.AfterFunc(p.o.Timeout, func() {
			interrupt(fmt.Errorf("after %v in all: %w", p.o.Timeout, os.ErrDeadlineExceeded))
		}).Stop)
	}
	if p.o.IdleTimeout > 0 {
		var timer *time.Timer
		var mu sync.Mutex // guards timer, which its own function resets
		mu.Lock()
		timer = time.AfterFunc(p.o.IdleTimeout, func() {
			if idle := p.idle(); idle < p.o.IdleTimeout {
				mu.Lock()
				defer mu.Unlock()
				timer.Reset(p.o.IdleTimeout - idle)
				return
			}
			interrupt(fmt.Errorf("nothing passed for %v: %w", p.o.IdleTimeout, os.ErrDeadlineExceeded))
		})
		mu.Unlock()
		stops = append(stops, timer.Stop)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

func (p *pair) idle() time.Duration {
	return time.Duration(time.Now().UnixNano() - p.touched.Load())
}

// fail keeps the first reason.
func (p *pair) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// passed counts n bytes and waits as long as the limits demand.
func (p *pair) passed(ctx context.Context, d Direction, n int) error {
	p.count[d].Add(int64(n))
	p.touched.Store(time.Now().UnixNano())
	for _, l := range p.o.Limiters {
		for rest := n; rest > 0; {
			part := min(rest, max(l.Burst(), 1))
			if err := l.WaitN(ctx, part); err != nil {
				return err
			}
			rest -= part
		}
	}
	return nil
}

// end closes both connections and sums up.
func (p *pair) end() (Result, error) {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	for _, c := range p.conns {
		if err == nil {
			_ = c.Close()
		} else {
			reset(c)
		}
	}
	return Result{p.count[Forward].Load(), p.count[Backward].Load()}, err
}

// stream moves everything from src to dst, and passes on how it ended.
func (p *pair) stream(ctx context.Context, d Direction, src, dst net.Conn) {
	p.finish(d, src, dst, p.move(ctx, d, src, dst))
}

// finish passes on to dst how src ended.
func (p *pair) finish(d Direction, src, dst tincan.Conn, err error) {
	defer close(p.over[d])
	var end *EndError
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // only the bare one is an orderly end
		p.endInput(d, src, dst)
	case errors.Is(err, net.ErrClosed):
		// The other direction closed src, and has said why if that was no orderly end.
		p.endInput(d, src, dst)
	case errors.As(err, &end) && !end.Reading:
		// The other direction may still deliver; end resets src afterwards.
		p.fail(err)
	default:
		p.fail(err)
		reset(dst)
	}
}

// endInput tells dst that src has ended.
func (p *pair) endInput(d Direction, src, dst tincan.Conn) {
	if f := p.o.Trace.HalfClosed; f != nil {
		f(src, tincan.Remote)
	}
	err := tincan.CloseWrite(dst)
	switch {
	case err == nil:
		if f := p.o.Trace.HalfClosed; f != nil {
			f(dst, tincan.Local)
		}
	case errors.Is(err, errors.ErrUnsupported):
		p.awaitQuiet(1 - d)
		_ = dst.Close()
	}
	// Any other error: dst is gone already, which its own direction tells.
}

// awaitQuiet returns when direction d has ended or has been silent for EndWait.
func (p *pair) awaitQuiet(d Direction) {
	for start := time.Now(); ; {
		wait := p.o.EndWait - min(p.idle(), time.Since(start))
		if wait <= 0 {
			return
		}
		select {
		case <-p.over[d]:
			return
		case <-time.After(wait):
		}
	}
}

// reset passes a reset on to c: after what was sent to it before has left, and as an ordinary end where the
// family has no reset.
func reset(c tincan.Conn) {
	if strings.HasPrefix(c.LocalAddr().Network(), "tcp") { // elsewhere a close discards nothing
		awaitSent(c, time.Second)
	}
	if errors.Is(tincan.Abort(c), errors.ErrUnsupported) {
		_ = c.Close()
	}
}
