package pattern

import (
	"math"
	"net"
	"sync"
	"sync/atomic"

	"github.com/tincan-ipc/tincan/zmtp"
)

// interest is the routing of [Sub] and [XSub]: it tells every publisher what the program has subscribed to.
type interest struct {
	s *socket
	// filter says that only what was subscribed to is received: a publisher may not have heard of a
	// cancellation yet, or send more than was asked for.
	filter bool

	mu      sync.RWMutex // guards what follows
	tree    subscriptions
	self    subscriber // holds the program's topics
	size    int        // of the frames that tell a publisher of them all
	sources map[*peer]*source

	cancels atomic.Uint64 // topics that nobody wants any more; mu is held while it grows
}

// subscribe subscribes to topic, or takes that back. Publishers hear of the first subscription and the last
// cancellation alone, or of every subscription where all is true. held is false where there was none to cancel.
func (i *interest) subscribe(topic []byte, cancel, all bool) (held bool, err error) {
	if i.s.closing.Load() {
		return false, i.s.fail("subscribe", net.ErrClosed)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	size := len(appendSubscription(nil, true, topic, false))
	var edge bool
	if cancel {
		if edge, held = i.tree.cancel(&i.self, topic); edge {
			i.size -= size
			i.cancels.Add(1)
		}
	} else {
		held = true
		if edge = i.tree.add(&i.self, topic); edge {
			i.size += size
		}
	}
	if edge || all && !cancel {
		for p := range i.sources {
			i.announce(p, appendSubscription(nil, hearsCommands(p), topic, cancel))
		}
	}
	return held, nil
}

// announce queues subscriptions for p, for which there is room always: a subscription that got lost would
// be missed for good. A publisher that doesn't read while very many of them change loses
// its connection, and hears on the next what holds then. mu is held.
func (i *interest) announce(p *peer, frames []byte) {
	q := &p.out
	q.mu.Lock()
	stuck := q.bytes > i.s.opts.SendBytes+i.size
	q.mu.Unlock()
	if stuck {
		p.kill(ErrQueueFull)
		return
	}
	if p.enqueueControl(frames, math.MaxInt) != noJob {
		p.work(startJob, nil)
	}
}

func (i *interest) joined(p *peer) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	commands := hearsCommands(p)
	frames := make([]byte, 0, i.size)
	i.tree.each(&i.self, func(topic []byte) bool {
		frames = appendSubscription(frames, commands, topic, false)
		return true
	})
	if i.sources == nil {
		i.sources = map[*peer]*source{}
	}
	from := &source{outlet: outlet{peer: p}, cancels: i.cancels.Load()}
	i.sources[p], p.state = from, from
	if len(frames) > 0 {
		i.announce(p, frames)
	}
	return nil
}

// left counts what an XSub sent upstream; subscriptions are none of what can be lost.
func (i *interest) left(p *peer, unsent []byte) (dropped int) {
	i.mu.Lock()
	delete(i.sources, p)
	i.mu.Unlock()
	for len(unsent) > 0 {
		var one []byte
		if one, unsent = nextMessage(unsent); one != nil {
			f, body, _ := cut(one)
			if _, ok := zmtp.ParseSubscription(f, body); !ok {
				dropped++
			}
		}
	}
	return dropped
}

// A source is a publisher. It is up to it to send nothing but what was asked for (37/ZMTP, The Publish-Subscribe
// Pattern). A look at every message again would cost more than all the rest of receiving it where the topics are
// many, so that of one which has proved right a sample is looked at.
type source struct {
	outlet
	cancels uint64 // cancellations before it came: it may not have heard yet of those after it
	right   int    // messages in a row that were asked for
	trust   int    // messages that need no look
}

const (
	// proof is how many messages in a row have to be right for trust.
	proof = 1000
	// sample is how many messages then pass for each that is looked at.
	sample = 64
)

// arrived leaves out what the program doesn't want.
func (i *interest) arrived(p *peer, c *chunk) {
	if i.filter && !i.check(p.state.(*source), c) {
		c.free()
		return
	}
	i.s.inbox.put(p, c)
}

// check is sift for what may need it. Only the reader of the source calls it.
func (i *interest) check(from *source, c *chunk) bool {
	if c.sifted = i.cancels.Load(); c.sifted == from.cancels && from.trust > 0 {
		from.trust -= c.msgs
		return true
	}
	came := c.msgs
	left := i.sift(c)
	switch {
	case c.msgs < came && c.sifted == from.cancels:
		from.right = math.MinInt // never to be trusted
	case from.right < proof:
		from.right += came
	default:
		from.trust = sample * came
	}
	return left
}

// sift takes out of c, which nobody else has yet, the messages that nobody subscribed to. It reports whether any are left.
func (i *interest) sift(c *chunk) bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	c.sifted = i.cancels.Load()
	rest, kept, msgs := c.buf, c.buf[:0], 0
	for len(rest) > 0 {
		_, topic, after := cut(rest)
		one := rest
		if rest[0]&byte(zmtp.FlagMore) != 0 {
			_, after = nextMessage(rest)
		}
		rest = after
		if i.tree.matches(topic) {
			one = one[:len(one)-len(rest)]
			if msgs++; len(kept)+len(one)+len(rest) == len(c.buf) {
				kept = c.buf[:len(kept)+len(one)] // it lies where it is to be
			} else {
				kept = append(kept, one...)
			}
		}
	}
	c.buf = kept
	c.seal(msgs)
	return msgs > 0
}

// wanted reports whether m, which was received, is still subscribed to.
func (i *interest) wanted(m *Message) bool {
	if !i.filter || m.chunk.sifted == i.cancels.Load() {
		return true
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.tree.matches(m.Parts[0])
}

func (i *interest) command(*peer, zmtp.Command) error { return nil }

// appendSubscription appends the frame that tells a publisher of a subscription or cancellation: a command, or
// before 3.1 a message.
func appendSubscription(dst []byte, commands bool, topic []byte, cancel bool) []byte {
	switch {
	case !commands:
		first := byte(1)
		if cancel {
			first = 0
		}
		return append(append(zmtp.AppendHeader(dst, 0, 1+len(topic)), first), topic...)
	case cancel:
		return zmtp.AppendCancel(zmtp.AppendHeader(dst, zmtp.FlagCommand, 1+len(zmtp.CommandCancel)+len(topic)), topic)
	}
	return zmtp.AppendSubscribe(zmtp.AppendHeader(dst, zmtp.FlagCommand, 1+len(zmtp.CommandSubscribe)+len(topic)), topic)
}

func (i *interest) unsubscribe(topic string) error {
	held, err := i.subscribe([]byte(topic), true, false)
	if err == nil && !held {
		err = i.s.fail("unsubscribe", ErrNotSubscribed)
	}
	return err
}

// sendUpstream sends m to every publisher that has room.
func (i *interest) sendUpstream(m *outgoing) {
	var owed []debt
	var began []*peer
	i.mu.Lock()
	for p, o := range i.sources {
		j, first := o.offer(m, nil)
		if first {
			began = append(began, p)
		}
		if j != noJob {
			owed = append(owed, debt{p, j})
		}
	}
	i.mu.Unlock()
	for _, d := range owed {
		d.p.work(d.job, m)
	}
	for _, p := range began {
		i.s.tellDropping(p)
	}
}

// hearsCommands reports whether p takes subscriptions as commands.
func hearsCommands(p *peer) bool {
	peer := p.session.Peer()
	return peer.AtLeast(3, 1)
}
