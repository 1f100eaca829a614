package natsbridge

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"net"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// A Publisher publishes messages under a subject, each by its topic, at most once: NATS keeps nothing for a subscriber that isn't there or is too slow.
type Publisher struct {
	nc     *nats.Conn
	topics Topics
	seed   maphash.Seed
	made   [madeSubjects]atomic.Pointer[madeSubject]
}

// A publisher keeps the subjects that it has made last, each at a place that its topic's hash says: few
// topics are published often. Long topics are not worth it.
const (
	madeSubjects = 256
	madeLength   = 64
)

// A madeSubject is the subject of a topic.
type madeSubject struct{ topic, subject string }

// NewPublisher makes a publisher of topics under the subject base.
func NewPublisher(nc *nats.Conn, base string) *Publisher {
	return &Publisher{nc: nc, topics: Topics{Base: base}, seed: maphash.MakeSeed()}
}

// Publish sends a message: parts[0] is its topic, which becomes the subject as [Topics] says, and the others are what it holds.
// It hands the message to the connection, and so blocks only while that has no room; while it is
// lost, up to 8 MiB are kept. The parts are the caller's again when it returns. It may be called at once.
//
// Errors are [*net.OpError]: [tincan.ErrMessageTooLong] for one over the server's limit, which isn't sent, [io.ErrUnexpectedEOF] where the
// connection is lost and no more is kept.
func (p *Publisher) Publish(parts ...[]byte) error {
	if len(parts) == 0 {
		parts = [][]byte{nil}
	}
	m := nats.Msg{Subject: p.subject(parts[0])}
	setParts(&m, parts[1:])
	return p.publish(&m)
}

// subject gives the subject of topic.
func (p *Publisher) subject(topic []byte) string {
	if len(topic) > madeLength {
		return p.topics.Subject(topic)
	}
	place := &p.made[maphash.Bytes(p.seed, topic)%madeSubjects]
	if made := place.Load(); made != nil && made.topic == string(topic) {
		return made.subject
	}
	made := &madeSubject{topic: string(topic), subject: p.topics.Subject(topic)}
	place.Store(made)
	return made.subject
}

func (p *Publisher) publish(m *nats.Msg) error {
	if err := tooLong(p.nc, m); err != nil {
		return fail("send", m.Subject, err)
	}
	if err := p.nc.PublishMsg(m); err != nil {
		return fail("send", m.Subject, err)
	}
	return nil
}

// A Subscriber receives what is published under a subject. Close ends it.
type Subscriber struct {
	topics   Topics
	prefixes []string // none where all is wanted
	came     chan *nats.Msg
	subs     []*nats.Subscription

	closing sync.Once
	closed  chan struct{}
	mu      sync.Mutex // guards dropped
	dropped uint64     // of subscriptions that are closed
}

// NewSubscriber subscribes to the topics under the subject base that begin with one of the prefixes, all without one. When it
// returns the server has the subscription: what is published from then on comes. Up to 65,536 messages that
// were not received yet are kept; those on top are dropped, see [Subscriber.Dropped].
//
// What the servers choose by, and so what costs the network, are the whole tokens of a prefix: see [Topics].
func NewSubscriber(ctx context.Context, nc *nats.Conn, base string, prefixes ...string) (*Subscriber, error) {
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	s := &Subscriber{topics: Topics{Base: base}, came: make(chan *nats.Msg, pendingMessages), closed: make(chan struct{})}
	for _, filter := range s.topics.filters(prefixes) {
		sub, err := nc.ChanSubscribe(filter, s.came)
		if err != nil {
			s.Close()
			return nil, fail("listen", filter, err)
		}
		s.subs = append(s.subs, sub)
	}
	for _, p := range prefixes {
		if p != "" {
			s.prefixes = append(s.prefixes, p)
			continue
		}
		s.prefixes = nil
		break
	}
	if err := flush(ctx, nc); err != nil {
		s.Close()
		return nil, fail("listen", base, err)
	}
	return s, nil
}

// Recv waits for the next message and gives its parts, the topic first; they are the caller's to keep. It blocks until there is
// one, ctx ends or the subscriber is closed ([net.ErrClosed]). [ErrFraming] is one message that was not as its header says: the
// next call goes on. What has no topic, for it was published under another mapping, is left out. It may be called at once.
func (s *Subscriber) Recv(ctx context.Context) ([][]byte, error) {
	var got struct { // in one piece of memory: most messages have one part behind a short topic
		parts [2][]byte
		topic [32]byte
	}
	got.parts[0] = got.topic[:0:len(got.topic)]
	return s.RecvInto(ctx, got.parts[:])
}

// RecvInto is [Subscriber.Recv] without new memory for the topic and the list of parts: it uses that of dst, parts which an earlier call gave, or
// nil. It gives what it made of dst, which is valid until dst is used again; the parts behind the topic are the caller's to keep. After
// an error dst can be used again.
func (s *Subscriber) RecvInto(ctx context.Context, dst [][]byte) ([][]byte, error) {
	var topic []byte
	if len(dst) > 0 {
		topic = dst[0][:0]
	}
	m, topic, err := s.next(ctx, topic)
	if err != nil {
		return nil, err
	}
	dst = append(dst[:0], topic)
	if len(m.Header) == 0 {
		return append(dst, m.Data), nil
	}
	parts, err := partsOf(m)
	if err != nil {
		return nil, framingError(m.Subject, err)
	}
	return append(dst, parts...), nil
}

// next gives the next message that is wanted, and its topic, which it appends to dst.
func (s *Subscriber) next(ctx context.Context, dst []byte) (*nats.Msg, []byte, error) {
	for {
		var m *nats.Msg
		select { // what has come is given first
		case m = <-s.came:
		default:
			select {
			case m = <-s.came:
			case <-ctx.Done():
				return nil, nil, fail("receive", s.topics.Base, ctx.Err())
			case <-s.closed:
				return nil, nil, fail("receive", s.topics.Base, net.ErrClosed)
			}
		}
		if m == nil { // nc was closed
			return nil, nil, fail("receive", s.topics.Base, net.ErrClosed)
		}
		topic, err := s.topics.appendTopic(dst, m.Subject)
		if err == nil && s.wants(topic) {
			return m, topic, nil
		}
	}
}

func (s *Subscriber) wants(topic []byte) bool {
	if len(s.prefixes) == 0 {
		return true
	}
	for _, p := range s.prefixes {
		if bytes.HasPrefix(topic, []byte(p)) {
			return true
		}
	}
	return false
}

// Dropped is how many messages were dropped since they were not received in time.
func (s *Subscriber) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.dropped
	for _, sub := range s.subs {
		if d, err := sub.Dropped(); err == nil {
			n += uint64(d)
		}
	}
	return n
}

// Close ends the subscription. What has come and was not received is dropped. Further calls do nothing.
func (s *Subscriber) Close() error {
	var errs []error
	s.closing.Do(func() {
		n := s.Dropped()
		for _, sub := range s.subs {
			if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
				errs = append(errs, fail("close", s.topics.Base, err))
			}
		}
		s.mu.Lock()
		s.dropped, s.subs = n, nil
		s.mu.Unlock()
		close(s.closed)
	})
	return errors.Join(errs...)
}
