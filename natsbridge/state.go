package natsbridge

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/state"
)

// A Bucket is a state in a key-value bucket of JetStream: each key of the state is one of the bucket, with its value in JSON. The bucket
// keeps the latest value of each, on Replicas servers, whether or not its provider is there.
//
// A bucket takes fewer keys than a state does: as [Topics] has it, each byte that is not a letter, a digit or one of - _ / =, and dots between
// tokens, is written as = and two hexadecimal digits, and = itself too.
type Bucket struct {
	nc   *nats.Conn
	kv   jetstream.KeyValue
	name string
}

// BucketOptions are the settings of a bucket that isn't there yet. The zero value works.
type BucketOptions struct {
	// Replicas is as in [QueueOptions].
	Replicas int
	// MaxBytes bounds what is stored. Zero or negative means 64 MiB.
	MaxBytes tincan.Size
}

// DefaultBucketBytes bounds a bucket.
const DefaultBucketBytes = 64 << 20

// OpenBucket opens the bucket that a subject names, dots written as _, and makes it where it isn't there. It tries again until ctx ends while the
// servers have no leader. o may be nil. Without JetStream the error is [syscall.ECONNREFUSED].
func OpenBucket(ctx context.Context, nc *nats.Conn, subject string, o *BucketOptions) (*Bucket, error) {
	if o == nil {
		o = &BucketOptions{}
	}
	b := &Bucket{nc: nc, name: bucketName(subject)}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fail("open", subject, err)
	}
	c := jetstream.KeyValueConfig{Bucket: b.name, Replicas: replicas(nc, o.Replicas), MaxBytes: int64(o.MaxBytes)}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultBucketBytes
	}
	err = again(ctx, subject, func(Event) {}, func(ctx context.Context) error {
		var err error
		b.kv, err = js.KeyValue(ctx, b.name)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			b.kv, err = js.CreateKeyValue(ctx, c)
			if errors.Is(err, jetstream.ErrBucketExists) { // another came first
				b.kv, err = js.KeyValue(ctx, b.name)
			}
		}
		return fail("open", subject, err)
	})
	return b, err
}

// bucketName is a subject as a bucket may be called.
func bucketName(subject string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, subject)
}

// Publish keeps the bucket as w's table is, until ctx ends: it puts what differs, takes away the keys that the table doesn't have, and then
// follows its changes. A key that changes faster than the servers store is put with its latest value. A bucket has one provider: two would
// undo each other's keys. The error is nil after ctx ended, else w's. onEvent is told of what is tried again; nil is nobody.
func (b *Bucket) Publish(ctx context.Context, w Updates, onEvent func(Event)) error {
	if onEvent == nil {
		onEvent = func(Event) {}
	}
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		err = again(ctx, b.name, onEvent, func(ctx context.Context) error { return b.put(ctx, u) })
		if err != nil {
			return unless(ctx, err)
		}
	}
}

// Updates are what gives the updates of a state: a [state.Follower], a [state.Watcher] or a [Follower].
type Updates interface {
	Next(ctx context.Context) (state.Update, error)
}

// put makes the bucket what it is after u.
func (b *Bucket) put(ctx context.Context, u state.Update) error {
	if u.Change != nil {
		return b.set(ctx, u.Change.Key, u.Change.Value)
	}
	have, err := b.snapshot(ctx)
	if err != nil {
		return err
	}
	for key := range have {
		if _, ok := u.Snapshot.Values[key]; !ok {
			if err := b.set(ctx, key, nil); err != nil {
				return err
			}
		}
	}
	for key, value := range u.Snapshot.Values {
		if old, ok := have[key]; !ok || string(old) != string(value) {
			if err := b.set(ctx, key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// set puts a value, nil for none.
func (b *Bucket) set(ctx context.Context, key string, value json.RawMessage) error {
	var err error
	if value == nil {
		err = b.kv.Delete(ctx, bucketKey(key))
	} else {
		_, err = b.kv.Put(ctx, bucketKey(key), value)
	}
	return fail("send", b.name, err)
}

// snapshot gives what the bucket holds, by the keys of the state.
func (b *Bucket) snapshot(ctx context.Context) (map[string]json.RawMessage, error) {
	w, err := b.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fail("receive", b.name, err)
	}
	defer func() { _ = w.Stop() }()
	values := map[string]json.RawMessage{}
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return nil, fail("receive", b.name, nats.ErrDisconnected)
			case e == nil: // that was all
				return values, nil
			}
			if key, ok := stateKey(e.Key()); ok {
				values[key] = e.Value()
			}
		case <-ctx.Done():
			return nil, fail("receive", b.name, ctx.Err())
		}
	}
}

// A Follower follows the state in a [Bucket], as a state.Follower does one that a server serves.
type Follower struct {
	b        *Bucket
	prefixes []string
	onEvent  func(Event)
	updates  chan state.Update
	cancel   context.CancelFunc
	closing  sync.Once
	done     sync.WaitGroup
}

// Follow begins to follow the keys that begin with one of the prefixes, all without one. onEvent is told when following had to begin anew; nil is nobody. It
// must be closed.
func (b *Bucket) Follow(onEvent func(Event), prefixes ...string) *Follower {
	if onEvent == nil {
		onEvent = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{b: b, prefixes: prefixes, onEvent: onEvent, updates: make(chan state.Update), cancel: cancel}
	f.done.Go(func() {
		defer close(f.updates)
		f.run(ctx)
	})
	return f
}

// Next waits for the next update: first a snapshot, then each change in order; and a snapshot again where the servers
// began anew. The number of a change is its revision in the bucket. It blocks until there is one, ctx ends or the follower is
// closed ([net.ErrClosed]).
func (f *Follower) Next(ctx context.Context) (state.Update, error) {
	select {
	case u, ok := <-f.updates:
		if !ok {
			return u, fail("receive", f.b.name, net.ErrClosed)
		}
		return u, nil
	case <-ctx.Done():
		return state.Update{}, fail("receive", f.b.name, ctx.Err())
	}
}

// Close ends the follower. It may be called again. The error is always nil.
func (f *Follower) Close() error {
	f.closing.Do(f.cancel)
	f.done.Wait()
	return nil
}

// checkEvery is how often a follower compares the bucket's last revision with the one it has seen: a watch that the
// servers have lost says nothing.
const checkEvery = 5 * time.Second

// run watches until ctx ends, and anew whenever a watch fails or falls silent.
func (f *Follower) run(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		seen, err := f.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if seen {
			attempt = 1
		}
		f.onEvent(Event{Kind: EventRetrying, Err: fail("receive", f.b.name, err)})
		select {
		case <-time.After(retryBackoff.Wait(attempt)):
		case <-ctx.Done():
		}
	}
}

// watch gives a snapshot and then changes, until that fails. seen reports whether there was a snapshot.
func (f *Follower) watch(ctx context.Context) (seen bool, err error) {
	w, err := f.b.kv.WatchAll(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = w.Stop() }()
	snapshot := &state.Snapshot{Values: map[string]json.RawMessage{}}
	last := uint64(0)
	checks := time.NewTicker(checkEvery)
	defer checks.Stop()
	missing := 0
	for {
		select {
		case e, ok := <-w.Updates():
			var u state.Update
			switch {
			case !ok:
				return seen, nats.ErrDisconnected
			case e == nil:
				seen = true
				u.Snapshot, snapshot.Seq = snapshot, last
			case !seen:
				last = e.Revision()
				f.note(snapshot, e)
				continue
			default:
				last = e.Revision()
				if u.Change = f.change(e); u.Change == nil {
					continue
				}
			}
			select {
			case f.updates <- u:
			case <-ctx.Done():
				return seen, ctx.Err()
			}
		case <-checks.C:
			if behind, err := f.behind(ctx, last); err == nil && behind {
				missing++
			} else {
				missing = 0
			}
			if missing > 1 { // and nothing came in between
				return seen, nats.ErrStaleConnection
			}
		case <-ctx.Done():
			return seen, ctx.Err()
		}
	}
}

// behind reports whether the bucket has changed since the revision last.
func (f *Follower) behind(ctx context.Context, last uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	status, err := f.b.kv.Status(ctx)
	if err != nil {
		return false, err
	}
	s, ok := status.(*jetstream.KeyValueBucketStatus)
	return ok && s.StreamInfo().State.LastSeq != last && s.StreamInfo().State.Msgs > 0, nil
}

// note makes e part of a snapshot.
func (f *Follower) note(s *state.Snapshot, e jetstream.KeyValueEntry) {
	if c := f.change(e); c != nil && !c.Deleted() {
		s.Values[c.Key] = c.Value
	}
}

// change is e as a change, nil where it is of no key that is followed.
func (f *Follower) change(e jetstream.KeyValueEntry) *state.Change {
	key, ok := stateKey(e.Key())
	if !ok || !f.wants(key) {
		return nil
	}
	c := &state.Change{Seq: e.Revision(), Time: e.Created(), Key: key}
	if e.Operation() == jetstream.KeyValuePut {
		if c.Value = e.Value(); !json.Valid(c.Value) { // of another program, which has its own idea of a value
			c.Value, _ = json.Marshal(string(e.Value()))
		}
	}
	return c
}

func (f *Follower) wants(key string) bool {
	for _, p := range f.prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return len(f.prefixes) == 0
}

// Mirror keeps t as the state that f follows, until ctx ends: a state.Server serves it on from there. The error is nil after ctx
// ended, else f's, or t's where a key or value is none for a table.
func Mirror(ctx context.Context, f Updates, t *state.Table) error {
	for {
		u, err := f.Next(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		if u.Change != nil {
			if u.Change.Deleted() {
				t.Delete(u.Change.Key)
			} else if err := t.Set(u.Change.Key, u.Change.Value); err != nil {
				return err
			}
			continue
		}
		values := make(map[string]any, len(u.Snapshot.Values))
		for key, value := range u.Snapshot.Values {
			values[key] = value
		}
		var gone []string
		for key := range t.Snapshot().Values {
			if _, ok := u.Snapshot.Values[key]; !ok {
				gone = append(gone, key)
			}
		}
		if err := t.Apply(values, gone...); err != nil {
			return err
		}
	}
}
