package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan/service"
)

// How a worker asks for messages: so that it asks again soon when a server has gone in silence.
const (
	fetchWait      = 5 * time.Second
	fetchHeartbeat = time.Second
	fetchMost      = 512
)

// Work hands messages of the queue to handle, up to handlers at once, until ctx ends; then it waits for
// those under way. A message whose handler gave nil is done. One whose handler failed or panicked is delivered again
// after the Backoff, to any worker; so is one whose worker, or its connection, is gone for AckWait. After MaxDeliver deliveries,
// or where its parts are not as its header says, it goes to the dead letters. handlers of zero or less is 1. Parts are
// the handler's to keep. The handlers' ctx has ctx's values and doesn't end with it.
//
// The error is nil after ctx ended, else a [*net.OpError].
func (q *Queue) Work(ctx context.Context, handlers int, handle func(ctx context.Context, parts [][]byte) error) error {
	var running sync.WaitGroup
	h := newHolder(max(handlers, 1), q.opts.AckWait/3)
	defer h.close()
	defer running.Wait()
	inner := context.WithoutCancel(ctx)
	return q.deliver(ctx, h, nil, func(d *delivery) error {
		running.Go(func() {
			err := error(&service.PanicError{})
			defer func() {
				if v := recover(); v != nil {
					err = &service.PanicError{Value: v, Stack: debug.Stack()}
				}
				if err != nil {
					d.failed(err)
				} else {
					d.done()
				}
			}()
			err = handle(inner, d.parts)
		})
		return nil
	})
}

// A delivery is a message that was delivered. It is held, which the server is told from time to time, until one of done, failed,
// giveBack and leave is called.
type delivery struct {
	q     *Queue
	h     *holder
	m     jetstream.Msg
	count uint64 // how often it was delivered, this time included
	parts [][]byte
	msg   nats.Msg
}

// done has it acknowledged soon, before the holder is closed.
func (d *delivery) done() { d.h.finish(d) }

func (d *delivery) failed(err error) {
	d.q.opts.OnEvent(Event{Kind: EventRetrying, Messages: 1, Err: err})
	_ = d.m.NakWithDelay(d.q.opts.Backoff.Wait(int(d.count)))
	d.h.release(d)
}

// giveBack lets another worker have it at once.
func (d *delivery) giveBack() {
	_ = d.m.Nak()
	d.h.release(d)
}

// leave says nothing: it is delivered again after AckWait.
func (d *delivery) leave() { d.h.release(d) }

// deliver gives messages to take, one after the other, as far as h has room, until ctx ends or take fails. before, unless
// it is nil, is called before messages are asked for. What is held then is for the caller to wait for.
func (q *Queue) deliver(ctx context.Context, h *holder, before func(context.Context) error, take func(*delivery) error) error {
	for attempt := 1; ctx.Err() == nil; {
		if before != nil {
			if err := before(ctx); err != nil {
				return unless(ctx, err)
			}
		}
		free, err := h.awaitRoom(ctx)
		if err != nil {
			return nil
		}
		if err = q.fetch(ctx, h, min(free, fetchMost), take); err == nil {
			attempt = 1
			continue
		}
		if !isPassing(err) {
			return unless(ctx, err)
		}
		if ctx.Err() == nil {
			q.opts.OnEvent(Event{Kind: EventRetrying, Err: err})
		}
		select {
		case <-time.After(retryBackoff.Wait(attempt)):
		case <-ctx.Done():
		}
		attempt++
	}
	return nil
}

// fetch asks for up to n messages and takes those that come.
func (q *Queue) fetch(ctx context.Context, h *holder, n int, take func(*delivery) error) error {
	asking, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	batch, err := q.consumer.Fetch(n, jetstream.FetchContext(asking), jetstream.FetchHeartbeat(fetchHeartbeat))
	if err != nil {
		return fail("receive", q.subject, err)
	}
	var failure error
	for m := range batch.Messages() {
		if failure != nil || ctx.Err() != nil {
			_ = m.Nak() // another worker can have it
			continue
		}
		if failure = q.arrived(h, m, take); failure != nil {
			cancel()
		}
	}
	if failure != nil {
		return failure
	}
	return q.fetchError(batch.Error())
}

func (q *Queue) fetchError(err error) error {
	if err == nil || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	if errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrConsumerLeadershipChanged) || errors.Is(err, jetstream.ErrServerShutdown) {
		err = &kindError{err, nats.ErrTimeout}
	}
	return fail("receive", q.subject, err)
}

// arrived makes a delivery of m, or a dead letter.
func (q *Queue) arrived(h *holder, m jetstream.Msg, take func(*delivery) error) error {
	d := &delivery{q: q, h: h, m: m, count: 1}
	if meta, err := m.Metadata(); err == nil {
		d.count = meta.NumDelivered
	}
	d.msg = nats.Msg{Subject: m.Subject(), Data: m.Data(), Header: m.Headers()}
	var err error
	d.parts, err = partsOf(&d.msg)
	if d.count > uint64(q.opts.MaxDeliver) {
		err = fmt.Errorf("delivered %d times", d.count-1)
	}
	h.hold(d)
	if err != nil {
		q.bury(d, err)
		return nil
	}
	return take(d)
}

// bury makes a dead letter of d: it is stored there before it is done here.
func (q *Queue) bury(d *delivery, why error) {
	m := &nats.Msg{Subject: q.deadLetter, Data: d.msg.Data, Header: nats.Header{}}
	for key, values := range d.msg.Header {
		m.Header[key] = values
	}
	m.Header["Tincan-Reason"] = []string{reason(why)}
	if meta, err := d.m.Metadata(); err == nil {
		m.Header[nats.MsgIdHdr] = []string{q.stream + "." + strconv.FormatUint(meta.Sequence.Stream, 10)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), putTimeout)
	defer cancel()
	if _, err := q.js.PublishMsg(ctx, m, jetstream.WithExpectStream(q.stream+"_DEAD")); err != nil {
		d.failed(fail("send", q.deadLetter, err))
		return
	}
	q.opts.OnEvent(Event{Kind: EventDropped, Messages: 1, Err: fmt.Errorf("to the dead letters: %w", why)})
	d.done()
}

// A holder knows the deliveries that are held. Until it is closed it tells the server of them, and acknowledges those that are done.
type holder struct {
	limit   int
	news    chan struct{} // holds one when room was made
	ended   chan struct{} // holds one when some are done
	closing chan struct{}
	keeping sync.WaitGroup

	mu   sync.Mutex // guards what follows
	held map[*delivery]struct{}
	done []*delivery // of held, to be acknowledged
}

// newHolder makes a holder of up to limit deliveries, of which it tells the server every interval that they are worked on.
func newHolder(limit int, interval time.Duration) *holder {
	h := &holder{
		limit: limit, news: make(chan struct{}, 1), ended: make(chan struct{}, 1), closing: make(chan struct{}),
		held: map[*delivery]struct{}{},
	}
	h.keeping.Go(func() { h.keep(max(interval, time.Millisecond)) })
	return h
}

func (h *holder) close() {
	close(h.closing)
	h.keeping.Wait()
}

func (h *holder) hold(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[d] = struct{}{}
}

func (h *holder) release(all ...*delivery) {
	h.mu.Lock()
	for _, d := range all {
		delete(h.held, d)
	}
	h.mu.Unlock()
	raise(h.news)
}

func (h *holder) finish(d *delivery) {
	h.mu.Lock()
	h.done = append(h.done, d)
	h.mu.Unlock()
	raise(h.ended)
}

// acknowledge tells the server of all that are done. What one goroutine says in a row goes out in one write, and the
// room that it makes is asked for at once: handlers that said it themselves, each in its turn, would make a write each.
func (h *holder) acknowledge() {
	runtime.Gosched() // handlers that only have to run are done then
	h.mu.Lock()
	done := h.done
	h.done = nil
	h.mu.Unlock()
	for _, d := range done {
		_ = d.m.Ack() // one that is lost makes a duplicate
	}
	h.release(done...)
}

// raise puts into c, which has room for one, what wakes its reader.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (h *holder) room() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.limit - len(h.held)
}

// awaitRoom waits until at least one more may be held, and gives how many.
func (h *holder) awaitRoom(ctx context.Context) (int, error) {
	for {
		if n := h.room(); n > 0 {
			return n, nil
		}
		select {
		case <-h.news:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (h *holder) keep(interval time.Duration) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			h.speak()
		case <-h.ended:
			h.acknowledge()
		case <-h.closing:
			h.acknowledge()
			return
		}
	}
}

// speak tells the server that what is held is worked on.
func (h *holder) speak() {
	h.mu.Lock()
	held := make([]jetstream.Msg, 0, len(h.held))
	for d := range h.held {
		held = append(held, d.m)
	}
	h.mu.Unlock()
	for _, m := range held {
		_ = m.InProgress() // one that comes after the end is left out by the server
	}
}
