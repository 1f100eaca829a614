package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
)

// pair is two connections being joined.
type pair struct {
	conns  [2]tincan.Conn
	o      Options
	most   int             // bytes that the limiters let pass at once, 0 where there are none
	ctx    context.Context // ends when the pair is interrupted: by its caller or a timeout
	cancel context.CancelCauseFunc

	count   [2]atomic.Int64
	touched atomic.Int64     // when something last passed, in Unix nanoseconds
	sending [2]atomic.Bool   // that direction holds something that it has read and not yet sent
	held    atomic.Int32     // directions that wait for a limiter
	dropped atomic.Int64     // messages
	closing atomic.Bool      // a connection without half-close was closed because its input had ended
	over    [2]chan struct{} // closed when nothing more comes in that direction

	mu   sync.Mutex // guards what follows
	err  error      // the first, which is the cause of what followed
	errs [2]error   // how each direction failed
}

func newPair(ctx context.Context, first, second tincan.Conn, o *Options) *pair {
	p := &pair{conns: [2]tincan.Conn{first, second}, over: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	if o != nil {
		p.o = *o
	}
	if p.o.EndWait <= 0 {
		p.o.EndWait = time.Second
	}
	if p.o.Trace == nil {
		p.o.Trace = &noTrace
	}
	for _, l := range p.o.Limiters {
		if burst := max(l.Burst(), 1); p.most == 0 || burst < p.most {
			p.most = burst
		}
	}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	p.touched.Store(time.Now().UnixNano())
	return p
}

var noTrace tincan.Trace

// run runs both directions, then closes both connections and sums up. The deadlines wake what blocks in a direction.
func (p *pair) run(forward, backward func(), deadlines ...func(time.Time) error) (Result, error) {
	stop := p.watch(deadlines)
	var wg sync.WaitGroup
	wg.Go(backward)
	forward()
	wg.Wait()
	stop()
	err := p.end()
	p.cancel(nil)
	return Result{p.count[Forward].Load(), p.count[Backward].Load()}, err
}

// watch interrupts the pair when ctx ends or a timeout passes. stop must be called at the end.
func (p *pair) watch(deadlines []func(time.Time) error) (stop func()) {
	unwake := context.AfterFunc(p.ctx, func() {
		for _, set := range deadlines {
			_ = set(time.Unix(1, 0)) // long past
		}
	})
	if p.o.Timeout <= 0 && p.o.IdleTimeout <= 0 {
		return func() { unwake() }
	}
	var (
		mu          sync.Mutex // guards what follows
		stopped     bool
		total, idle *time.Timer
	)
	if p.o.Timeout > 0 {
		total = time.AfterFunc(p.o.Timeout, func() {
			p.cancel(fmt.Errorf("after %v in all: %w", p.o.Timeout, os.ErrDeadlineExceeded))
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if p.o.IdleTimeout > 0 {
		idle = time.AfterFunc(p.o.IdleTimeout, func() {
			mu.Lock()
			defer mu.Unlock()
			silent := p.silent()
			switch {
			case stopped:
			case silent < p.o.IdleTimeout:
				idle.Reset(p.o.IdleTimeout - silent)
			default:
				p.cancel(fmt.Errorf("nothing passed for %v: %w", p.o.IdleTimeout, os.ErrDeadlineExceeded))
			}
		})
	}
	return func() {
		unwake()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		for _, t := range []*time.Timer{total, idle} {
			if t != nil {
				t.Stop()
			}
		}
	}
}

// silent gives how long nothing has passed. What a limiter holds back isn't silence.
func (p *pair) silent() time.Duration {
	if p.held.Load() > 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - p.touched.Load())
}

// limit bounds what is moved at once.
func (p *pair) limit(n int) int {
	if p.most > 0 {
		return min(n, p.most)
	}
	return n
}

// admit waits until every limiter lets n more bytes pass. The error is why the pair was interrupted.
func (p *pair) admit(n int) error {
	for _, l := range p.o.Limiters {
		for rest := n; rest > 0; {
			part := min(rest, max(l.Burst(), 1))
			rest -= part
			r := l.ReserveN(time.Now(), part) // WaitN would rather fail at once than wait in vain for ctx
			wait := r.Delay()
			if wait <= 0 {
				continue
			}
			if err := p.hold(wait); err != nil {
				r.Cancel()
				return err
			}
		}
	}
	return nil
}

func (p *pair) hold(wait time.Duration) error {
	p.held.Add(1)
	defer p.held.Add(-1)
	defer p.touch()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

func (p *pair) touch() { p.touched.Store(time.Now().UnixNano()) }

// passed counts n bytes that were sent on.
func (p *pair) passed(d Direction, n int) {
	p.count[d].Add(int64(n))
	p.touch()
}

// fail keeps how a direction failed; the first is the pair's.
func (p *pair) fail(d Direction, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.errs[d] = err
}

// failure gives the first failure, and that of direction d.
func (p *pair) failure(d Direction) (first, own error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err, p.errs[d]
}

// end closes both connections.
func (p *pair) end() error {
	err, _ := p.failure(Forward)
	if err == nil && p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	for _, c := range p.conns {
		if err == nil {
			_ = c.Close() // both ends were told
		} else {
			p.reset(c)
		}
	}
	return err
}

// finish passes on to dst how src ended.
func (p *pair) finish(d Direction, src, dst tincan.Conn, err error) {
	if err == io.EOF { // only the bare one is an orderly end
		if err = p.falseEnd(d, src); err == nil {
			close(p.over[d])
			p.endInput(d, src, dst)
			return
		}
	}
	defer close(p.over[d])
	first, _ := p.failure(d)
	var end *EndError
	switch {
	case p.ctx.Err() != nil:
		p.fail(d, context.Cause(p.ctx))
	case errors.Is(err, net.ErrClosed) && first != nil:
		// The other direction closed it, and has said why; end does the rest.
	case errors.Is(err, net.ErrClosed) && p.closing.Load():
		// The other direction closed src, in order; end does so with dst.
	case errors.As(err, &end) && !end.Reading:
		p.fail(d, err)
		p.refuseInput(src) // the other direction may still deliver; end resets src afterwards
	default:
		p.fail(d, err)
		p.reset(dst)
	}
}

// refuseInput tells whoever sends to src, where the family can, that nobody reads any more.
func (p *pair) refuseInput(src tincan.Conn) {
	if network := src.LocalAddr().Network(); network != "unix" && network != "mem" || tincan.CloseRead(src) != nil {
		return
	}
	// Linux wakes a sender that waits for room only when there is some.
	if r, ok := src.(io.Reader); ok {
		_, _ = io.Copy(io.Discard, r)
	}
}

// falseEnd gives the error that an end hides. A reset is told once, and where both directions use the
// socket the one that sends may be told; the one that receives then finds what looks like an end.
//
// A socket that was reset behind its end can't be told from one that was reset in place of it. Then it
// counts as a reset: to take a part for the whole would be worse.
func (p *pair) falseEnd(d Direction, src tincan.Conn) error {
	if !wasReset(src) {
		return nil
	}
	other := 1 - d
	t := time.NewTimer(p.o.EndWait)
	defer t.Stop()
	select {
	case <-p.over[other]: // it was told and is about to end, or it has half-closed src itself
	case <-p.ctx.Done():
	case <-t.C:
	}
	_, err := p.failure(other)
	var end *EndError
	if errors.As(err, &end) && !end.Reading {
		return &EndError{Direction: d, Reading: true, Err: end.Err}
	}
	return nil
}

// endInput tells dst that src has ended.
func (p *pair) endInput(d Direction, src, dst tincan.Conn) {
	if f := p.o.Trace.HalfClosed; f != nil {
		f(src, tincan.Remote)
	}
	// Where src has no half-close its end is that of both its directions: nothing from dst can be delivered any more.
	whole := !tincan.CanCloseWrite(src)
	if tincan.CanCloseWrite(dst) {
		err := tincan.CloseWrite(dst) // where it fails dst is gone already, which its own direction tells
		if f := p.o.Trace.HalfClosed; f != nil && err == nil {
			f(dst, tincan.Local)
		}
		if !whole {
			return
		}
	} else if !whole {
		p.awaitQuiet(1 - d)
	}
	p.closing.Store(true)
	_ = dst.Close()
}

// awaitQuiet returns when direction d has ended, or had nothing to do for EndWait.
func (p *pair) awaitQuiet(d Direction) {
	for start := time.Now(); ; {
		wait := p.o.EndWait
		if !p.sending[d].Load() {
			wait -= min(p.silent(), time.Since(start))
		}
		if wait <= 0 {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			continue
		case <-p.over[d]:
		}
		t.Stop()
		return
	}
}

// reset passes a reset on to c, as an ordinary end where the family has none. A pair that was
// interrupted waits for nothing.
func (p *pair) reset(c tincan.Conn) {
	abort := tincan.Abort
	if p.ctx.Err() == nil {
		abort = func(c tincan.Conn) error { return tincan.Reset(p.ctx, c) }
	}
	if errors.Is(abort(c), errors.ErrUnsupported) {
		_ = c.Close()
	}
}
