package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// stallTime is how long after its end a measurement waits for what is still under way.
const stallTime = 5 * time.Second

// A measurement is the measuring side's course: the warm-up, the stretch that is measured, its end.
type measurement struct {
	size  int
	count int64 // of each caller together, or each receiver; zero without bound
	// measuring is set after the warm-up, over once the stretch has been long enough.
	measuring, over atomic.Bool
	asked           atomic.Int64 // requests that were measured, or are

	stretches []stretch  // of each caller or receiver
	times     *durations // nil where none are taken
	receiving atomic.Int64
	received  context.CancelCauseFunc // ends the receiving once every receiver has what it needs
}

// A stretch is what one caller or receiver has measured.
type stretch struct {
	begin, end time.Time
	n, dropped int64

	first uint64   // the number of the message at which it began
	_     [48]byte // fills two cache lines: nobody else counts in them
}

// measure connects to e, measures and reports.
func (r *benchRun) measure(ctx context.Context, e *tincan.Endpoint, mechanism zmtp.Mechanism) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := &measurement{size: int(r.flags.size), count: int64(r.flags.count)}
	o := r.options(mechanism)
	var failure lastFailure
	teller := &socketTeller{report: r.report, giveUp: cancel}
	wordy := r.report.json || r.report.trace
	o.OnEvent = func(event pattern.Event) {
		if ctx.Err() != nil && !wordy {
			return // of the end, whose reason is told
		}
		switch event.Kind {
		case pattern.EventRetrying:
			failure.set(event.Err)
		case pattern.EventDisconnected:
			cancel(lostError(e, event.Err))
			if !wordy {
				return // it is told as the reason for the end
			}
		}
		teller.event(event)
	}
	sockets, work := r.work.measure(r, m, o)
	defer func() {
		for _, s := range sockets {
			_ = s.Close() // nothing is queued that anybody waits for
		}
	}()
	err := r.connect(ctx, e, sockets, &failure)
	if err != nil {
		return err
	}
	peer := sockets[0].Peers()
	told := r.status("measuring for " + (r.flags.warmUp + r.flags.length()).String() + " at most")
	err = m.run(ctx, r.flags.warmUp, r.flags.length(), work)
	told()
	if errors.Is(err, pattern.ErrPeerLost) {
		err = lostError(e, nil)
	}
	if err != nil {
		return reasonOf(ctx, err)
	}
	result := r.result(e, peer, m)
	if err := result.check(r.flags.length()); err != nil {
		return err
	}
	return r.publish(result)
}

// reasonOf gives why ctx has ended, where it has, and else err.
func reasonOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func lostError(e *tincan.Endpoint, err error) error {
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s was lost before all was measured: %w", e, err)
}

// lastFailure is why the last attempt to connect failed.
type lastFailure struct {
	mu  sync.Mutex // guards err
	err error
}

func (f *lastFailure) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *lastFailure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// errNotReached is --connect-timeout.
var errNotReached = errors.New("not reached in time")

// connect dials e with every socket and waits until all have their peer.
func (r *benchRun) connect(ctx context.Context, e *tincan.Endpoint, sockets []benchSocket, failure *lastFailure) error {
	for _, s := range sockets {
		if err := s.Dial(e.String()); err != nil {
			return err
		}
	}
	limit := r.flags.connectTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNotReached)
	defer cancel()
	for _, s := range sockets {
		if err := s.WaitPeers(ctx, 1); err != nil {
			if err = reasonOf(ctx, err); errors.Is(err, errNotReached) {
				return notReached(e, limit, failure.get())
			}
			return err
		}
	}
	return nil
}

// notReached is a failure to connect whatever kept it from it, but for a peer that refused.
func notReached(e *tincan.Endpoint, limit time.Duration, last error) error {
	if last == nil {
		return &net.OpError{Op: "dial", Net: e.Scheme, Err: fmt.Errorf("%s did not answer within %v", e, limit)}
	}
	if kindOf(last) == tincan.KindDenied {
		return last
	}
	return &hintedError{
		error: &net.OpError{Op: "dial", Net: e.Scheme, Err: fmt.Errorf("%s was not reached within %v: %v", e, limit, last)}, //nolint:errorlint // its kind is to be that of a dial
		hint:  hintFor(last),
	}
}

// status tells on a terminal what goes on, until the function that it gives is called. It
// does so once: what keeps a terminal busy is measured as well.
func (r *benchRun) status(text string) (end func()) {
	if r.report.json || r.report.trace || !term.IsTerminal(int(r.stderr.Fd())) {
		return func() {}
	}
	_, _ = r.stderr.WriteString(text)
	return func() { _, _ = r.stderr.WriteString("\r\x1b[K") }
}

// run does the work, and tells it when the stretch begins and ends.
func (m *measurement) run(ctx context.Context, warmUp, length time.Duration, work func(context.Context) error) error {
	whole := warmUp + length + stallTime
	ctx, cancel := context.WithTimeoutCause(ctx, whole, &timeoutError{what: "the serving side stalls: not done within", after: whole})
	defer cancel()
	over := time.AfterFunc(warmUp+length, func() { m.over.Store(true) })
	defer over.Stop()
	if warmUp == 0 {
		m.measuring.Store(true)
	} else {
		begin := time.AfterFunc(warmUp, func() { m.measuring.Store(true) })
		defer begin.Stop()
	}
	if err := work(ctx); err != nil {
		return reasonOf(ctx, err)
	}
	return nil
}

// A requester is a socket that asks.
type requester interface {
	Request(ctx context.Context, parts ...[]byte) ([][]byte, error)
}

func measureLatency(_ *benchRun, m *measurement, o *pattern.Options) ([]benchSocket, func(context.Context) error) {
	s := pattern.NewReq(o)
	return []benchSocket{s}, func(ctx context.Context) error { return m.ask(ctx, s, 1) }
}

func measureRequests(r *benchRun, m *measurement, o *pattern.Options) ([]benchSocket, func(context.Context) error) {
	s := pattern.NewClient(o)
	return []benchSocket{s}, func(ctx context.Context) error { return m.ask(ctx, s, int(r.flags.callers)) }
}

// ask keeps so many callers asking until all is measured.
func (m *measurement) ask(ctx context.Context, s requester, callers int) error {
	m.stretches = make([]stretch, callers)
	m.times = newDurations(callers)
	message := make([]byte, m.size)
	return m.each(ctx, func(ctx context.Context, i int) error { return m.call(ctx, s, message, i) })
}

// each runs f for every stretch at once; the first error ends the others and is given back.
func (m *measurement) each(ctx context.Context, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := range m.stretches {
		all.Go(func() {
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func (m *measurement) call(ctx context.Context, s requester, message []byte, i int) error {
	t := &m.stretches[i]
	for !m.over.Load() {
		measured := m.measuring.Load()
		if measured && m.count > 0 && m.asked.Add(1) > m.count {
			return nil
		}
		begin := time.Now()
		reply, err := s.Request(ctx, message)
		if err != nil {
			return err
		}
		end := time.Now()
		if err := m.checkSize(reply); err != nil {
			return err
		}
		if !measured {
			continue
		}
		if t.n == 0 {
			t.begin = begin
		}
		t.n++
		t.end = end
		m.times.record(i, end.Sub(begin))
	}
	return nil
}

// checkSize finds a peer that serves something else.
func (m *measurement) checkSize(parts [][]byte) error {
	if len(parts) == 1 && len(parts[0]) == m.size {
		return nil
	}
	got := 0
	for _, p := range parts {
		got += len(p)
	}
	return &hintedError{
		error: fmt.Errorf("a message of %d bytes in %d parts came, and %d bytes in one were awaited", got, len(parts), m.size),
		hint:  "both sides need the same work and --size",
	}
}

func measureThroughput(_ *benchRun, m *measurement, o *pattern.Options) ([]benchSocket, func(context.Context) error) {
	s := pattern.NewPull(o)
	return []benchSocket{s}, func(ctx context.Context) error { return m.receiveAll(ctx, []messageReceiver{s}, nil) }
}

func measureFanout(r *benchRun, m *measurement, o *pattern.Options) ([]benchSocket, func(context.Context) error) {
	var sockets []benchSocket
	var receivers []messageReceiver
	var subs []*pattern.Sub
	for range int(r.flags.subscribers) {
		s := pattern.NewSub(o)
		sockets, receivers, subs = append(sockets, s), append(receivers, s), append(subs, s)
	}
	return sockets, func(ctx context.Context) error {
		for _, s := range subs {
			if err := s.Subscribe(""); err != nil {
				return err
			}
		}
		return m.receiveAll(ctx, receivers, binary.BigEndian.Uint64)
	}
}

// errReceived ends the receiving in order.
var errReceived = errors.New("all is received")

// receiveAll receives by every socket until each has measured its stretch. Until then
// all go on receiving: one that stopped would hold up the others.
func (m *measurement) receiveAll(ctx context.Context, sockets []messageReceiver, number func(message []byte) uint64) error {
	m.stretches = make([]stretch, len(sockets))
	m.receiving.Store(int64(len(sockets)))
	ctx, m.received = context.WithCancelCause(ctx)
	defer m.received(nil)
	err := m.each(ctx, func(ctx context.Context, i int) error { return m.receive(ctx, sockets[i], i, number) })
	if errors.Is(err, errReceived) {
		return nil
	}
	return err
}

// receive counts what comes from s; number, where it isn't nil, gives a message's number.
func (m *measurement) receive(ctx context.Context, s messageReceiver, i int, number func([]byte) uint64) error {
	t := &m.stretches[i]
	for {
		message, err := s.Borrow(ctx)
		if err != nil {
			return reasonOf(ctx, err)
		}
		if err := m.checkSize(message.Parts); err != nil {
			message.Release()
			return err
		}
		var n uint64
		if number != nil {
			n = number(message.Parts[0])
		}
		message.Release()
		m.note(t, n)
	}
}

// note counts one message, with its number, towards t.
func (m *measurement) note(t *stretch, number uint64) {
	switch {
	case !t.end.IsZero():
		// It has what it needs, and others haven't.
	case t.begin.IsZero():
		if m.measuring.Load() {
			t.begin, t.first = time.Now(), number
		}
	default:
		if t.n++; t.n == m.count || m.over.Load() {
			t.end = time.Now()
			t.dropped = int64(number-t.first) - t.n
			if m.receiving.Add(-1) == 0 {
				m.received(errReceived)
			}
		}
	}
}
