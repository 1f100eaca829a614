package pattern

import (
	"context"

	"github.com/tincan-ipc/tincan/zmtp"
)

// An XPub is a [Pub] that also receives: what its peers subscribe to and cancel, and the messages that an [XSub]
// sends upstream (29/PUBSUB).
//
// A subscription is a message of one part, a byte 1 and the topic, a cancellation a byte 0 and the topic. Only
// the first subscription to a topic and the last cancellation are received, be they of different
// peers; with [Options.Verbose] all are. A peer that goes has cancelled. One that was not received yet when
// its opposite comes is taken back, so that a program that doesn't receive needs no more memory than the topics do.
type XPub struct {
	socket
	receiver
	publisher publisher
	notices   notices
}

// NewXPub makes a socket. It has neither peers nor goroutines before Listen or Dial.
func NewXPub(o *Options) *XPub {
	s := &XPub{}
	s.receiver, s.publisher.s = receiver{&s.socket}, &s.socket
	s.init(zmtp.XPub, o, &s.publisher)
	s.notices.inbox, s.notices.verbose = &s.inbox, s.opts.Verbose
	s.inbox.ahead = s.notices.next
	s.publisher.changed = s.notices.add
	s.publisher.upstream = s.inbox.put
	return s
}

// Send is as [Pub.Send].
func (s *XPub) Send(ctx context.Context, parts ...[]byte) error {
	return s.publisher.send(ctx, parts)
}

// WaitSubscribers is as [Pub.WaitSubscribers].
func (s *XPub) WaitSubscribers(ctx context.Context, n int) error {
	return s.publisher.waitSubscribers(ctx, n)
}

// notices are the subscriptions that wait to be received, ahead of messages. The inbox's mutex guards them.
type notices struct {
	inbox   *inbox
	verbose bool

	queue   fifo[*notice]
	void    int                // those in queue that were taken back
	pending map[string]*notice // by topic, those that may be taken back
}

type notice struct {
	peer   *peer
	topic  string
	cancel bool
	void   bool
}

// add takes in a subscription or cancellation of p. Those of which nobody need know are
// received only while there are few.
func (n *notices) add(p *peer, topic []byte, cancel, edge bool) {
	q := n.inbox
	q.mu.Lock()
	defer q.mu.Unlock()
	all := n.verbose && n.queue.len() < q.highWater
	if q.closed || !edge && !all {
		return
	}
	if was := n.pending[string(topic)]; was != nil && was.cancel != cancel && !all {
		delete(n.pending, was.topic)
		was.void = true
		n.void++
		q.waiting--
		n.compact()
		return
	}
	now := &notice{peer: p, topic: string(topic), cancel: cancel}
	n.queue.push(now)
	q.waiting++
	q.arrived.Open()
	if !all {
		if n.pending == nil {
			n.pending = map[string]*notice{}
		}
		n.pending[now.topic] = now
	}
}

// compact drops what was taken back once that is the most.
func (n *notices) compact() {
	if n.void < 64 || n.void < n.queue.len()/2 {
		return
	}
	var live fifo[*notice]
	for n.queue.len() > 0 {
		if one := n.queue.pop(); !one.void {
			live.push(one)
		}
	}
	n.queue, n.void = live, 0
}

// next makes m the next subscription, if there is one.
func (n *notices) next(m *Message) bool {
	for n.queue.len() > 0 {
		one := n.queue.pop()
		if one.void {
			n.void--
			continue
		}
		if n.pending[one.topic] == one {
			delete(n.pending, one.topic)
		}
		body := make([]byte, 1, 1+len(one.topic))
		if !one.cancel {
			body[0] = 1
		}
		c := &chunk{}
		c.refs.Store(1)
		m.few[0] = append(body, one.topic...)
		m.Parts, m.peer, m.chunk, m.last = m.few[:1], one.peer, c, true
		return true
	}
	return false
}
