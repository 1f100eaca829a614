package natsbridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// Enqueue puts what from, a Pull, receives into the queue, until ctx ends. Up to Unacked messages are on their way to be stored; while they
// are from isn't read, and who pushes has to wait. Then it waits for those for as long as drain. What
// came and isn't stored by then, or when the process is killed, is lost, as for any Pull: OnStored tells what is safe.
//
// A message that can't ever be stored is dropped and told. The error is nil after ctx ended, else the socket's; what was
// not stored in time is a [*pattern.DiscardError].
func (b *Bridge) Enqueue(ctx context.Context, from pattern.Receiver, q *Queue, drain time.Duration) error {
	storing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	sent := make(chan pending, q.opts.Unacked)
	lost := 0
	var settling sync.WaitGroup
	settling.Go(func() {
		for p := range sent {
			if !b.settle(storing, q, p) {
				lost++
			}
		}
	})
	err := b.receive(ctx, from, func(parts [][]byte) { b.put(q, parts, sent) })
	close(sent)
	end := time.AfterFunc(drain, stop)
	settling.Wait()
	end.Stop()
	if lost > 0 {
		return errors.Join(err, fail("close", q.subject, &pattern.DiscardError{Messages: lost}))
	}
	return err
}

// receive hands the messages of from, which are to keep, to take until ctx ends and what has come by then is taken.
func (b *Bridge) receive(ctx context.Context, from pattern.Receiver, take func(parts [][]byte)) error {
	for {
		m, err := from.Borrow(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		parts := make([][]byte, len(m.Parts))
		for i, p := range m.Parts {
			parts[i] = append([]byte(nil), p...)
		}
		m.Release()
		take(parts)
	}
}

// pending is a message on its way to be stored.
type pending struct {
	parts  [][]byte
	m      *nats.Msg
	future jetstream.PubAckFuture // nil where it could not be sent
}

// put sends a message to be stored.
func (b *Bridge) put(q *Queue, parts [][]byte, sent chan<- pending) {
	m := &nats.Msg{Subject: q.subject}
	err := b.fromSocket(m, parts)
	if err == nil {
		q.identify(m)
		err = tooLong(q.nc, m)
	}
	if err != nil {
		b.drop(fail("send", q.subject, err))
		return
	}
	future, err := q.js.PublishMsgAsync(m)
	if err != nil {
		future = nil // it is sent again
	}
	sent <- pending{parts, m, future}
}

// settle waits until p is stored, and sends it again where that takes too long. It is false where ctx ended before.
func (b *Bridge) settle(ctx context.Context, q *Queue, p pending) bool {
	stored := false
	if p.future != nil {
		select {
		case <-p.future.Ok():
			stored = true
		case err := <-p.future.Err():
			q.opts.OnEvent(Event{Kind: EventRetrying, Messages: 1, Err: known(err)})
		case <-ctx.Done():
			return false
		}
	}
	if !stored {
		err := q.store(ctx, p.m)
		if err != nil && ctx.Err() != nil {
			return false
		}
		if err != nil {
			b.drop(err)
			return true
		}
	}
	if b.OnStored != nil {
		b.OnStored(p.parts)
	}
	return true
}

// Dequeue hands the messages of the queue to the peers of to, in turn, until ctx ends; then it waits for as long as drain for what was handed out. It asks for messages
// only while there is a peer.
//
// A message is done once the system has taken its last byte for the connection to a peer. That is what ZMTP lets a sender
// know: a peer acknowledges nothing. So none is lost when this bridge, a server or a connection that had not taken it ends; it may then come twice.
// But what a peer's system has received, and the peer not read when it dies, is lost. A worker that must not lose any is asked (a Rep, served by
// Answer), or works on the queue itself ([Queue.Work]).
//
// The error is nil after ctx ended, else the connection's or the socket's.
func (b *Bridge) Dequeue(ctx context.Context, q *Queue, to *pattern.Push, drain time.Duration) error {
	h := newHolder(min(q.opts.Unacked, fetchMost), q.opts.AckWait/3)
	defer h.close()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	f := &flusher{to: to, news: make(chan struct{}, 1)}
	var flushing sync.WaitGroup
	flushing.Go(func() { f.run(sending) })
	err := q.deliver(ctx, h, func(ctx context.Context) error { return to.WaitPeers(ctx, 1) }, func(d *delivery) error {
		return b.hand(ctx, d, to, f)
	})
	end := time.AfterFunc(drain, stop)
	defer end.Stop()
	f.close()
	flushing.Wait()
	return err
}

// sendPatience is how long a message waits for room with a peer before it is looked whether there still is one.
const sendPatience = time.Second

// hand sends d to a peer. Where there is none any more another worker gets it. The error is the socket's end.
func (b *Bridge) hand(ctx context.Context, d *delivery, to *pattern.Push, f *flusher) error {
	parts, err := b.toSocket(&d.msg)
	if err != nil {
		d.q.bury(d, err)
		return nil
	}
	for {
		once, cancel := context.WithTimeout(ctx, sendPatience)
		err := to.Send(once, parts...)
		cancel()
		switch {
		case err == nil:
			f.add(d)
			return nil
		case tincan.KindOf(err) != tincan.KindTimeout && ctx.Err() == nil:
			d.giveBack()
			return err
		case ctx.Err() != nil || to.Stats().Peers == 0:
			d.giveBack()
			return nil
		}
	}
}

// A flusher says of deliveries that were sent when they are done.
type flusher struct {
	to   *pattern.Push
	news chan struct{}

	mu     sync.Mutex // guards what follows
	sent   []*delivery
	closed bool
}

func (f *flusher) add(d *delivery) {
	f.mu.Lock()
	f.sent = append(f.sent, d)
	f.mu.Unlock()
	raise(f.news)
}

func (f *flusher) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	raise(f.news)
}

func (f *flusher) take() (sent []*delivery, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent, f.sent = f.sent, nil
	return sent, f.closed
}

// run waits for the system to take what was sent, until ctx ends, after which what it has not taken is left, and close is called.
func (f *flusher) run(ctx context.Context) {
	for {
		sent, closed := f.take()
		if len(sent) == 0 {
			if closed {
				return
			}
			<-f.news
			continue
		}
		err := f.to.Flush(ctx)
		for _, d := range sent {
			if err == nil {
				d.done()
			} else {
				d.leave()
			}
		}
	}
}
