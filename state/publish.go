package state

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

const (
	// syncTopic is what a follower subscribes to after its prefixes, to learn when it has had all current values. No key has
	// its first character, so that nobody else comes by the answer.
	syncTopic = "\x00sync"
	// Bounds of what waits for one subscriber: what is current waits at its source, and does not count.
	publishMessages = 1 << 16
	publishBytes    = 4 << 20
	// publishLinger is how long Close lets what was published be sent.
	publishLinger = time.Second
)

// A Publisher publishes a table on a PUB socket of ZeroMQ: a message for each change, of which the first part is the key
// and the second the change object. A new subscription is first sent the current values of the keys that begin with its topic, as
// the change objects they came by; between those and the changes after them nothing is lost, comes twice, or goes back.
//
// A subscriber that is too slow loses its connection. One of ZeroMQ comes again by itself, and then is sent
// the current values; of keys that were deleted meanwhile it is not told, as a [Follower] is. Of a key that changes more than
// once before it can be published the latest value alone is.
type Publisher struct {
	server *Server
	pub    *pattern.Pub
	w      *Watcher
	mu     sync.Mutex // held to publish, and while a subscription takes effect; guards what follows
	b      batch
	object []byte

	stop   context.CancelFunc
	done   chan struct{} // closed when nothing more is published
	once   sync.Once     // closes
	failed error         // why that failed
}

// NewPublisher makes a publisher. It has no peers before Listen or Dial, and must be closed. Of o, which may be nil, the hooks of
// subscriptions, NoDrop and EndSlow are the publisher's own to set; for each subscriber 65,536 messages and 4 MiB may wait
// unless o has other bounds, and Close lingers for a second.
func (s *Server) NewPublisher(o *pattern.Options) *Publisher {
	var opts pattern.Options
	if o != nil {
		opts = *o
	}
	if opts.SendHighWater <= 0 {
		opts.SendHighWater = publishMessages
	}
	if opts.SendBytes <= 0 {
		opts.SendBytes = publishBytes
	}
	if opts.Linger == 0 {
		opts.Linger = publishLinger
	}
	p := &Publisher{server: s, done: make(chan struct{})}
	opts.OnSubscribe, opts.NoDrop, opts.EndSlow = nil, false, true
	opts.OnSubscribing = p.welcome
	p.pub = pattern.NewPub(&opts)
	p.w = s.Table.watchAll()
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	s.counts.followers.Add(1)
	go p.run(ctx)
	return p
}

// watchAll watches all changes from now on, and none of them is ever left out but for a later one of its key.
func (t *Table) watchAll() *Watcher {
	w := t.Watch()
	t.mu.Lock()
	defer t.mu.Unlock()
	w.cursor, w.fresh, w.patient = t.seq, false, true
	return w
}

// Listen is [pattern.Pub.Listen].
func (p *Publisher) Listen(ctx context.Context, endpoint string) (net.Addr, error) {
	return p.pub.Listen(ctx, endpoint)
}

// Dial is [pattern.Pub.Dial].
func (p *Publisher) Dial(endpoint string) error { return p.pub.Dial(endpoint) }

// Peers describes the subscribers.
func (p *Publisher) Peers() []pattern.PeerInfo { return p.pub.Peers() }

// Stats gives the counters of the socket.
func (p *Publisher) Stats() pattern.Stats { return p.pub.Stats() }

// Wait blocks until the server finishes, with [Server.Finish], and all changes have been published, or until Close.
func (p *Publisher) Wait() { <-p.done }

// Close publishes what has changed, ends the socket as [pattern.Pub.Close] does, and joins the goroutine. It may be called again.
func (p *Publisher) Close() error {
	p.once.Do(func() {
		p.stop()
		<-p.done
		p.failed = p.pub.Close()
		p.w.Close()
		p.server.counts.followers.Add(-1)
	})
	return p.failed
}

// run publishes until ctx ends or the server finishes, and then what has changed until then.
func (p *Publisher) run(ctx context.Context) {
	defer close(p.done)
	ending := p.server.ending.wait()
	for last := false; ; {
		switch published := p.publish(); {
		case published:
			continue
		case last:
			return
		}
		select {
		case <-p.w.bell:
		case <-ending:
			last = true
		case <-ctx.Done():
			last = true
		}
	}
}

// publish publishes some of what has changed, and reports whether there was anything.
func (p *Publisher) publish() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.b.reset()
	if p.w.take(&p.b, batchSize) != nil {
		return false
	}
	p.send(p.b.changes)
	return len(p.b.changes) > 0
}

// send publishes list. p.mu is held: what is being published is the latest of its key to anyone who gets it.
func (p *Publisher) send(list []pending) {
	for _, c := range list {
		p.object = c.c.appendTo(p.object[:0], c.missed)
		_ = p.pub.Send(context.Background(), []byte(c.c.key), p.object) // it fails when the socket is closed, and then for all
		p.server.counts.missed.Add(c.missed)
	}
	p.server.counts.delivered.Add(uint64(len(list)))
}

// welcome sends a new subscriber the current values. Whatever came before them has been published when the subscription takes effect,
// and whatever comes after them is published later.
func (p *Publisher) welcome(topic string, take func() bool, send func(parts ...[]byte) error) {
	p.mu.Lock()
	values, seq := p.w.takeAll(&p.b, topic)
	p.send(p.b.changes)
	p.b.reset()
	added := take()
	p.mu.Unlock()
	switch {
	case !added:
	case topic == syncTopic:
		_ = send([]byte(syncTopic), append(appendUint([]byte(`{"seq":`), seq), '}')) // a subscriber that has gone needs nothing
	default:
		var object []byte
		for _, c := range values {
			object = c.appendTo(object[:0], 0)
			if send([]byte(c.key), object) != nil {
				return
			}
		}
	}
}
