package pattern

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A publisher is the routing of [Pub] and [XPub]: a message goes to the peers
// that subscribed to it, and for the others it is not even queued.
type publisher struct {
	s *socket
	// changed is told of each subscription and cancellation of a peer; edge says that it is the
	// first of its topic, or the last. mu is held. Nil is nobody.
	changed func(p *peer, topic []byte, cancel, edge bool)
	// upstream takes what subscribers send besides subscriptions. Nil discards it.
	upstream func(p *peer, c *chunk)

	mu     sync.Mutex // guards what follows, and the subscribers; a message is in all queues before the next is in any
	tree   subscriptions
	held   int    // topics of all subscribers
	frames []byte // the message under way, encoded once for all
}

// audience is what a publisher keeps for a subscriber.
type audience struct {
	outlet
	// room and roomBytes are what its queue is known to have room for: since only the publisher
	// fills it, there is never less.
	room, roomBytes int

	held     bool   // the program is sending it a snapshot, and messages are held back
	back     []byte // those, as frames
	backMsgs int
}

func (b *publisher) joined(p *peer) error {
	p.state = &subscriber{audience: audience{outlet: outlet{peer: p}}}
	return nil
}

func (b *publisher) left(p *peer, unsent []byte) (dropped int) {
	s := p.state.(*subscriber)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= len(s.topics)
	var gone func([]byte, bool)
	if b.changed != nil {
		gone = func(topic []byte, last bool) { b.changed(p, topic, true, last) }
	}
	b.tree.remove(s, gone)
	return countMessages(unsent)
}

func (b *publisher) command(p *peer, c zmtp.Command) error {
	return b.hear(p, zmtp.Subscription{Topic: c.Data, Cancel: c.Name == zmtp.CommandCancel})
}

// arrived takes subscriptions in the form of 3.0, and what an XSub sends upstream besides.
func (b *publisher) arrived(p *peer, c *chunk) {
	rest, kept, msgs := c.buf, c.buf[:0], 0
	for len(rest) > 0 {
		f, body, after := cut(rest)
		if sub, ok := zmtp.ParseSubscription(f, body); ok {
			if err := b.hear(p, sub); err != nil {
				p.kill(err)
				break
			}
			rest = after
			continue
		}
		var one []byte
		one, rest = nextMessage(rest)
		kept = append(kept, one...) // behind what was looked at
		msgs++
	}
	if msgs == 0 || b.upstream == nil {
		c.free()
		return
	}
	c.buf = kept
	c.seal(msgs)
	b.upstream(p, c)
}

// hear takes in what p subscribes to or cancels. Only p's reader calls it.
func (b *publisher) hear(p *peer, sub zmtp.Subscription) error {
	s := p.state.(*subscriber)
	if sub.Cancel {
		b.cancel(s, sub.Topic)
		return nil
	}
	var added bool
	var err error
	if o := &b.s.opts; o.OnSubscribe == nil && o.OnSubscribing == nil {
		added, err = b.add(s, sub.Topic)
	} else {
		added, err = b.welcome(s, sub.Topic)
	}
	if added {
		b.s.news.raise()
	}
	return err
}

// welcome is add where the program may send s what it has of topic, before what is published from then on.
func (b *publisher) welcome(s *subscriber, topic []byte) (added bool, err error) {
	taken := false
	take := func() bool {
		if !taken {
			taken = true
			added, err = b.add(s, topic)
		}
		return added
	}
	send := func(parts ...[]byte) error { return b.sendTo(s, parts) }
	if f := b.s.opts.OnSubscribing; f != nil {
		f(string(topic), take, send)
		take()
	} else if take() {
		b.s.opts.OnSubscribe(string(topic), send)
	}
	if added {
		b.letGo(s)
	}
	return added, err
}

func (b *publisher) cancel(s *subscriber, topic []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(s.topics)
	last, ok := b.tree.cancel(s, topic)
	b.held -= before - len(s.topics)
	if ok && b.changed != nil {
		b.changed(s.peer, topic, true, last)
	}
}

// add reports whether topic is new to s. Then, if there is a hook for it, messages are held back until it has run.
func (b *publisher) add(s *subscriber, topic []byte) (added bool, err error) {
	o := &b.s.opts
	if len(topic) > o.MaxTopic {
		return false, fmt.Errorf("%w: a topic of %d bytes, at most %d", ErrSubscriptionLimit, len(topic), o.MaxTopic)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(s.topics)
	if before >= o.MaxSubscriptions && !b.tree.holds(s, topic) {
		return false, fmt.Errorf("%w: more than %d topics", ErrSubscriptionLimit, o.MaxSubscriptions)
	}
	first := b.tree.add(s, topic)
	added = len(s.topics) > before
	if added {
		b.held++
		s.held = o.OnSubscribe != nil || o.OnSubscribing != nil
	}
	if b.changed != nil {
		b.changed(s.peer, topic, false, first)
	}
	return added, nil
}

// letGo queues for s what was held back while the program sent it what it would have missed.
func (b *publisher) letGo(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	back := s.back
	s.held, s.back, s.backMsgs = false, nil, 0
	s.room, s.roomBytes = 0, 0
	for len(back) > 0 {
		var one []byte
		one, back = nextMessage(back)
		if _, j := s.peer.enqueue(&outgoing{frames: one, size: len(one), forced: true}, nil); j != noJob {
			s.peer.work(startJob, nil)
		}
	}
}

// sendTo sends a message to s alone, and waits while its queue is full.
func (b *publisher) sendTo(s *subscriber, parts [][]byte) error {
	m := message(parts)
	v, j := noRoom, noJob
	_ = b.s.until(context.Background(), func() bool {
		if b.s.closing.Load() {
			v = gone
			return true
		}
		v, j = s.peer.enqueue(&m, nil)
		return v != noRoom
	})
	if v == gone {
		return b.s.fail("send", net.ErrClosed)
	}
	s.peer.work(j, &m)
	return nil
}

// waitSubscribers waits until subscribers hold n topics.
func (b *publisher) waitSubscribers(ctx context.Context, n int) error {
	err := b.s.until(ctx, func() bool {
		if b.s.closing.Load() {
			return true
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.held >= n
	})
	if err == nil && b.s.closing.Load() {
		err = net.ErrClosed
	}
	return b.s.fail("wait", err)
}
