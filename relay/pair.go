package relay

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
)

// pair is two connections being joined. An idle one must cost little: what only some need is made when they do.
type pair struct {
	about  Pair             // what a Forwarder tells of it, whose mutex guards it
	target *tincan.Endpoint // of a Forwarder: the one that answered, or that was tried last

	conns   [2]tincan.Conn
	ways    [2]func() error // each moves one direction to its end
	stop    func() bool     // ends the watch
	joined  sync.WaitGroup
	streams bool // deadlines wake what blocks
	o       Options
	most    int             // bytes that the limiters let pass at once, 0 where there are none
	ctx     context.Context // ends when the pair is interrupted: by its caller or a timeout
	cancel  context.CancelCauseFunc

	count   [2]atomic.Int64
	touched atomic.Int64   // when something last passed, in Unix nanoseconds
	sending [2]atomic.Bool // that direction holds something that it has read and not yet sent
	held    atomic.Int32   // directions that wait for a limiter
	dropped atomic.Int64   // messages
	closing atomic.Bool    // a connection without half-close was closed because its input had ended
	over    [2]event       // nothing more comes in that direction

	mu   sync.Mutex // guards what follows
	err  error      // the first, which is the cause of what followed
	errs [2]error   // how each direction failed
}

func newPair(ctx context.Context, first, second tincan.Conn, o *Options) *pair {
	p := &pair{ctx: ctx}
	p.join(first, second, o)
	return p
}

// join settles what is relayed, and within which bounds.
func (p *pair) join(first, second tincan.Conn, o *Options) {
	p.conns = [2]tincan.Conn{first, second}
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
	p.cancel = func(error) {}
	if p.o.Timeout > 0 || p.o.IdleTimeout > 0 {
		p.ctx, p.cancel = context.WithCancelCause(p.ctx)
	}
	p.touch()
}

var noTrace tincan.Trace

// run runs both directions, then closes both connections and gives why they ended.
//
// The stack of a goroutine that waits for data is most of what an idle pair costs. It stays at the 2 KiB that it
// begins with as long as there are few frames, and these small, between its start and the socket.
func (p *pair) run() error {
	p.joined.Add(1)
	go p.runJoined()
	p.runWay(Forward)
	p.joined.Wait()
	p.stop()
	err := p.end()
	p.cancel(nil)
	return err
}

// runJoined runs the direction that has a goroutine of its own.
func (p *pair) runJoined() {
	defer p.joined.Done()
	p.runWay(Backward)
}

func (p *pair) runWay(d Direction) {
	defer p.ended(d)
	p.finish(d, p.ways[d]())
}

// ended is deferred: where direction d panicked before its end was known, it ends both connections, and nothing else.
func (p *pair) ended(d Direction) {
	value := recover()
	if value == nil && p.over[d].has() { // neither a panic nor runtime.Goexit
		return
	}
	p.fail(d, newPanicError(value))
	p.over[d].set()
	for _, c := range p.conns {
		abort(c)
	}
}

func (p *pair) result() Result {
	return Result{p.count[Forward].Load(), p.count[Backward].Load()}
}

// interrupt wakes both directions.
func (p *pair) interrupt() {
	for _, c := range p.conns {
		if c, ok := c.(net.Conn); ok {
			_ = c.SetDeadline(past)
		}
	}
}

var past = time.Unix(1, 0)

// watch interrupts the pair when ctx ends or a timeout passes. stop must be called at the end.
func (p *pair) watch() (stop func() bool) {
	unwake := func() bool { return true }
	if p.streams {
		unwake = context.AfterFunc(p.ctx, p.interrupt)
	}
	if p.o.Timeout <= 0 && p.o.IdleTimeout <= 0 {
		return unwake
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
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		for _, t := range []*time.Timer{total, idle} {
			if t != nil {
				t.Stop()
			}
		}
		return unwake()
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
