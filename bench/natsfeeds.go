package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/state"
)

// The names of the feeds through a key-value bucket: of nats.go alone, and of package natsbridge.
const (
	natsBucket    = "NATS bucket"
	bridgedBucket = "natsbridge bucket"
)

// natsKeyValue opens the bucket that package natsbridge makes, so that the settings are the same for both.
func natsKeyValue(ctx context.Context, at address) (jetstream.KeyValue, error) {
	c, err := nats.Connect(at.natsURL())
	if err != nil {
		return nil, err
	}
	if _, err := natsbridge.OpenBucket(ctx, c, "bench", nil); err != nil {
		return nil, err
	}
	js, err := jetstream.New(c)
	if err != nil {
		return nil, err
	}
	return js.KeyValue(ctx, "bench")
}

func publishNATSBucket(ctx context.Context, at address) (func(string, stateValue) error, error) {
	kv, err := natsKeyValue(ctx, at)
	return func(key string, v stateValue) error {
		_, err := kv.Put(ctx, key, v.append(nil))
		return err
	}, err
}

// followNATSBucket is there when it has had what the bucket holds.
func followNATSBucket(ctx context.Context, at address) (func() (stateValue, error), error) {
	kv, err := natsKeyValue(ctx, at)
	if err != nil {
		return nil, err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, err
	}
	if e := <-w.Updates(); e != nil {
		return nil, fmt.Errorf("the bucket holds %s already", e.Key())
	}
	return func() (stateValue, error) {
		e, ok := <-w.Updates()
		if !ok {
			return stateValue{}, nats.ErrDisconnected
		}
		return parseValue(e.Value())
	}, nil
}

func openBridgedBucket(ctx context.Context, at address) (*natsbridge.Bucket, error) {
	c, err := natsbridgeConnect(ctx, at)
	if err != nil {
		return nil, err
	}
	return natsbridge.OpenBucket(ctx, c, "bench", nil)
}

// firstKey is what the state that is put into a bucket has before it is changed.
const firstKey = "first"

// publishBridgedBucket keeps the bucket as a table is. It is there when the bucket has the table's first snapshot: what the table is
// set to from then on goes there change by change.
func publishBridgedBucket(ctx context.Context, at address) (func(string, stateValue) error, error) {
	b, err := openBridgedBucket(ctx, at)
	if err != nil {
		return nil, err
	}
	table := &state.Table{}
	if err := table.Set(firstKey, true); err != nil {
		return nil, err
	}
	go func() {
		if err := b.Publish(ctx, table.Watch(), nil); err != nil {
			fmt.Fprintln(os.Stderr, "publish:", err) // the follower gets nothing more, and its time ends
		}
	}()
	f, err := followFirst(ctx, b)
	if err != nil {
		return nil, err
	}
	return setOf(table), f.Close()
}

// followFirst gives a follower that has had the first key.
func followFirst(ctx context.Context, b *natsbridge.Bucket) (*natsbridge.Follower, error) {
	f := b.Follow(nil)
	for {
		u, err := f.Next(ctx)
		if err != nil {
			return nil, err
		}
		if u.Change != nil && u.Change.Key == firstKey {
			return f, nil
		}
		if u.Snapshot != nil && u.Snapshot.Values[firstKey] != nil {
			return f, nil
		}
	}
}

func followBridgedBucket(ctx context.Context, at address) (func() (stateValue, error), error) {
	b, err := openBridgedBucket(ctx, at)
	if err != nil {
		return nil, err
	}
	f, err := followFirst(ctx, b)
	return func() (stateValue, error) {
		u, err := f.Next(ctx)
		if err != nil {
			return stateValue{}, err
		}
		if u.Change == nil {
			return stateValue{}, errors.New("following began anew")
		}
		return parseValue(u.Change.Value)
	}, err
}
