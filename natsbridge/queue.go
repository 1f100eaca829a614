package natsbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/tincan-ipc/tincan"
)

// Values of [QueueOptions] fields that are zero.
const (
	DefaultQueueBytes = 1 << 30
	DefaultAckWait    = 30 * time.Second
	DefaultMaxDeliver = 10
	DefaultUnacked    = 1024
	// DeadLetterAge and DeadLetterBytes bound what is kept of messages that nobody could do.
	DeadLetterAge   = 30 * 24 * time.Hour
	DeadLetterBytes = 256 << 20
)

// QueueOptions are the settings of a [Queue]. The zero value works. Those of the stream and of its
// workers hold when they are made; what is there already stays as it is.
type QueueOptions struct {
	// Stream is the stream that keeps the messages. Empty means TINCAN_ and the subject with _ for each dot.
	Stream string
	// Replicas is on how many servers each message is stored, 1 to 5: with 3 it outlives one of them. Zero or negative means 3 where the
	// connection knows three servers of a cluster, else 1.
	Replicas int
	// MaxBytes bounds what is stored; Put waits while it is full. Zero or negative means 1 GiB.
	MaxBytes tincan.Size
	// AckWait is how long a worker may be silent about a message before another gets it; while a handler runs, this package
	// speaks for it. Zero or negative means 30 s.
	AckWait time.Duration
	// Backoff is the wait before a message whose handler failed is delivered again.
	Backoff tincan.Backoff
	// MaxDeliver is how often a message is delivered at most. Then it goes to the dead letters. Zero or
	// negative means 10.
	MaxDeliver int
	// DeadLetter is the subject of the dead letters, which a stream of its own keeps for 30 days, up to 256 MiB, the oldest going first.
	// Empty means the subject and .dead
	DeadLetter string
	// Unacked bounds the messages that were put and not yet stored, or delivered and not yet done, of one Queue. Zero or negative means 1,024.
	Unacked int
	// OnEvent is told of what is tried again (EventRetrying) and of dead letters (EventDropped). It may be called at once and must not block. Nil is nobody.
	OnEvent func(Event)
}

// A Queue is a work queue, kept by JetStream in a stream of the retention "work queue": each message is handed to one worker, of
// any number on any host, and again until one has done it. Its methods may be called at once. It needs no closing.
type Queue struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	subject    string
	stream     string
	deadLetter string
	consumer   jetstream.Consumer
	opts       QueueOptions
	run        string        // of this Queue: its messages' ids begin with it
	last       atomic.Uint64 // the number of the last message
}

// putTimeout is how long the acknowledgement of one try to store a message is waited for.
const putTimeout = 5 * time.Second

// OpenQueue opens the work queue of subject, which it makes where it isn't there. It tries again until ctx ends while the servers have no
// leader. o may be nil. A stream of that name that is there and no work queue, or for other subjects, is [ErrNotQueue]; without
// JetStream the error is [syscall.ECONNREFUSED].
func OpenQueue(ctx context.Context, nc *nats.Conn, subject string, o *QueueOptions) (*Queue, error) {
	q := &Queue{nc: nc, subject: subject, run: nuid.Next()}
	if o != nil {
		q.opts = *o
	}
	q.defaults()
	var err error
	q.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(q.opts.Unacked), jetstream.WithPublishAsyncTimeout(putTimeout))
	if err != nil {
		return nil, fail("open", subject, err)
	}
	err = q.again(ctx, func(ctx context.Context) error { return q.open(ctx) })
	return q, err
}

func (q *Queue) defaults() {
	o := &q.opts
	q.stream, q.deadLetter = o.Stream, o.DeadLetter
	if q.stream == "" {
		q.stream = "TINCAN_" + streamName(q.subject)
	}
	if q.deadLetter == "" {
		q.deadLetter = q.subject + ".dead"
	}
	o.Replicas = replicas(q.nc, o.Replicas)
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultQueueBytes
	}
	setDefault(&o.AckWait, DefaultAckWait)
	setDefault(&o.MaxDeliver, DefaultMaxDeliver)
	setDefault(&o.Unacked, DefaultUnacked)
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
}

// replicas is on how many servers something is stored, where n isn't said: as many as outlive the loss of one.
func replicas(nc *nats.Conn, n int) int {
	switch {
	case n > 0:
		return n
	case nc.ConnectedClusterName() != "" && len(nc.Servers()) >= 3:
		return 3
	}
	return 1
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// streamName is a subject as a stream may be called.
func streamName(subject string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`.*>/\ `, r) {
			return '_'
		}
		return r
	}, subject)
}

// open makes the streams and the consumer where they are not there.
func (q *Queue) open(ctx context.Context) error {
	stream, err := q.ensure(ctx, jetstream.StreamConfig{
		Name: q.stream, Subjects: []string{q.subject}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxBytes: int64(q.opts.MaxBytes), Replicas: q.opts.Replicas,
	})
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Config
	if c.Retention != jetstream.WorkQueuePolicy || len(c.Subjects) != 1 || c.Subjects[0] != q.subject {
		return fail("open", q.subject, fmt.Errorf("stream %s: %w of %s", q.stream, ErrNotQueue, q.subject))
	}
	if _, err := q.ensure(ctx, jetstream.StreamConfig{
		Name: q.stream + "_DEAD", Subjects: []string{q.deadLetter}, Discard: jetstream.DiscardOld,
		MaxAge: DeadLetterAge, MaxBytes: DeadLetterBytes, Replicas: c.Replicas,
	}); err != nil {
		return err
	}
	q.consumer, err = stream.Consumer(ctx, workers)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		q.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: workers, AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.opts.AckWait,
			MaxDeliver: -1, MaxAckPending: -1, // this package counts: the server only stops delivering
		})
	}
	return fail("open", q.subject, err)
}

// workers is the one consumer of the stream, which all workers share.
const workers = "workers"

// ensure gives a stream, which it makes where it isn't there.
func (q *Queue) ensure(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := q.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = q.js.CreateStream(ctx, c)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another came first
			stream, err = q.js.Stream(ctx, c.Name)
		}
	}
	return stream, fail("open", q.subject, err)
}

func (q *Queue) again(ctx context.Context, f func(context.Context) error) error {
	return again(ctx, q.subject, q.opts.OnEvent, f)
}

// again runs f, of which each try is bounded, until it succeeds, fails for good or ctx ends.
func again(ctx context.Context, subject string, onEvent func(Event), f func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, putTimeout)
		err := f(once)
		cancel()
		if err == nil || !isPassing(err) {
			return err
		}
		onEvent(Event{Kind: EventRetrying, Err: err})
		select {
		case <-time.After(retryBackoff.Wait(attempt)):
		case <-ctx.Done():
			return fail("send", subject, errors.Join(ctx.Err(), err))
		}
	}
}

// isPassing reports whether time may cure an error of JetStream.
func isPassing(err error) bool {
	var api jetstream.JetStreamError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, ErrNotQueue):
		return false
	case errors.As(err, &api) && api.APIError() != nil: // 503 is also what a full stream gives, of which a work queue becomes free again
		return api.APIError().Code == 503 || api.APIError().ErrorCode == codeNoStorage
	}
	return tincan.KindOf(err).Passing() || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, jetstream.ErrTooManyStalledMsgs)
}

// codeNoStorage is an error of JetStream that its client has no name for: no room on the servers now.
const codeNoStorage = 10047

// Put stores a message of the parts. When it returns nil a majority of the servers that keep the queue have it, and it will be
// delivered at least once. It blocks until then, while the queue is full and while no server answers, until ctx ends:
// then it may or may not be stored. A message is stored once, however often Put had to send it, as long as that took no more than two minutes. The parts
// must not change until it returns. [tincan.ErrMessageTooLong] is one over the server's limit.
func (q *Queue) Put(ctx context.Context, parts ...[]byte) error {
	m, err := q.message(parts)
	if err != nil {
		return err
	}
	return q.store(ctx, m)
}

// message makes a message of parts.
func (q *Queue) message(parts [][]byte) (*nats.Msg, error) {
	m := &nats.Msg{Subject: q.subject}
	setParts(m, parts)
	q.identify(m)
	if err := tooLong(q.nc, m); err != nil {
		return nil, fail("send", q.subject, err)
	}
	return m, nil
}

// identify gives m an id by which JetStream knows it again, and the stream that alone may take it.
func (q *Queue) identify(m *nats.Msg) {
	addHeader(m, nats.MsgIdHdr, q.run+"."+strconv.FormatUint(q.last.Add(1), 36))
	addHeader(m, nats.ExpectedStreamHdr, q.stream)
}

// store sends m, which is identified, until it is stored.
func (q *Queue) store(ctx context.Context, m *nats.Msg) error {
	return q.again(ctx, func(ctx context.Context) error {
		reply, err := q.nc.RequestMsgWithContext(ctx, m)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			err = jetstream.ErrNoStreamResponse
		case err == nil && !q.isStored(reply.Data):
			err = refusal(reply.Data)
		}
		return fail("send", q.subject, err)
	})
}

// isStored reports whether an acknowledgement is this stream's as servers write it. jetstream.PublishMsg parses each, which takes a fifth of the
// time of a Put.
func (q *Queue) isStored(ack []byte) bool {
	rest, ok := bytes.CutPrefix(ack, []byte(`{"stream":"`))
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte(q.stream))
	}
	return ok && bytes.HasPrefix(rest, []byte(`",`)) && !bytes.Contains(rest, []byte(`"error"`))
}

// refusal is why an acknowledgement is none, nil where it is one after all (docs.nats.io, JetStream, PubAck).
func refusal(ack []byte) error {
	var reply struct {
		Error  *jetstream.APIError `json:"error"`
		Stream string              `json:"stream"`
	}
	if err := json.Unmarshal(ack, &reply); err != nil {
		return jetstream.ErrInvalidJSAck
	}
	switch {
	case reply.Error != nil:
		return reply.Error
	case reply.Stream == "":
		return jetstream.ErrInvalidJSAck
	}
	return nil
}
