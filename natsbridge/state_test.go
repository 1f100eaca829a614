package natsbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/state"
)

func bucket(t *testing.T, nc *nats.Conn, subject string) *natsbridge.Bucket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := natsbridge.OpenBucket(ctx, nc, subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publish keeps b as table is until the test ends.
func publish(t *testing.T, b *natsbridge.Bucket, table *state.Table) (stop func()) {
	w := table.Watch()
	t.Cleanup(w.Close)
	return during(t, func(ctx context.Context) error { return b.Publish(ctx, w, nil) })
}

// mirror gives a table that follows b until the test ends.
func mirror(t *testing.T, b *natsbridge.Bucket, prefixes ...string) *state.Table {
	f := b.Follow(nil, prefixes...)
	t.Cleanup(func() { _ = f.Close() })
	table := &state.Table{}
	during(t, func(ctx context.Context) error { return natsbridge.Mirror(ctx, f, table) })
	return table
}

func values(table *state.Table) map[string]string {
	all := map[string]string{}
	for key, value := range table.Snapshot().Values {
		all[key] = string(value)
	}
	return all
}

func set(t *testing.T, table *state.Table, key string, value any) {
	t.Helper()
	if err := table.Set(key, value); err != nil {
		t.Fatal(err)
	}
}

func TestState(t *testing.T) {
	cluster := natstest.Start(t, 1, "")
	provider := &state.Table{}
	for _, key := range []string{"door", "a..b", ".", "ключ", "with space", "=41", "x/y_z-1", "cpu.load1"} {
		set(t, provider, key, map[string]any{"is": key})
	}
	nc := cluster.Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	b := bucket(t, nc, "host.state")
	kv, err := js.KeyValue(t.Context(), "host_state")
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"stale": "1", "door": `"old"`} { // of an earlier run of the provider
		if _, err := kv.PutString(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	stop := publish(t, b, provider)
	follower := bucket(t, cluster.Connect(t), "host.state")
	all, some := mirror(t, follower), mirror(t, follower, "cpu.", "d")
	same := func(table *state.Table, want map[string]string) {
		t.Helper()
		waitUntil(t, "the states are the same", func() bool { return cmp.Equal(values(table), want) })
	}
	same(all, values(provider))
	set(t, provider, "door", "open")
	set(t, provider, "cpu.load1", 0.42)
	provider.Delete("a..b")
	same(all, values(provider))
	same(some, map[string]string{"door": `"open"`, "cpu.load1": "0.42"})
	stop()

	// The provider has gone; one that comes late gets the state, and other programs' values are made JSON.
	if _, err := kv.PutString(t.Context(), "foreign", "not JSON"); err != nil {
		t.Fatal(err)
	}
	late := bucket(t, cluster.Connect(t), "host.state").Follow(nil)
	defer late.Close()
	u, err := late.Next(t.Context())
	if err != nil || u.Snapshot == nil {
		t.Fatal(u, err)
	}
	if got := string(u.Snapshot.Values["foreign"]); got != `"not JSON"` || string(u.Snapshot.Values["door"]) != `"open"` {
		t.Errorf("late: %s", u.Snapshot.Values)
	}
	if err := kv.Delete(t.Context(), "foreign"); err != nil {
		t.Fatal(err)
	}
	u, err = late.Next(t.Context())
	if err != nil || u.Change == nil || !u.Change.Deleted() || u.Change.Key != "foreign" {
		t.Errorf("the change is %+v, %v", u.Change, err)
	}
	late.Close()
	if _, err := late.Next(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStateOverCluster: the keys of one host are followed on two others while a server is killed and comes back; the final state is exact.
func TestStateOverCluster(t *testing.T) {
	const keys = 1000
	cluster := natstest.Start(t, 3, "")
	provider := &state.Table{}
	publish(t, bucket(t, cluster.Connect(t), "state"), provider)
	mirrors := []*state.Table{
		mirror(t, bucket(t, cluster[1:].Connect(t), "state")), mirror(t, bucket(t, natstest.Cluster{cluster[2], cluster[0]}.Connect(t), "state")),
	}
	round := func(n int) {
		for i := range keys {
			key := fmt.Sprintf("k.%d", i)
			if (i+n)%17 == 0 {
				provider.Delete(key)
			} else {
				set(t, provider, key, json.Number(fmt.Sprint(i*n)))
			}
		}
	}
	began := time.Now()
	for n := range sized(3, 20) {
		round(n)
		switch n {
		case 0:
			cluster[1].Kill()
		case 1:
			if err := cluster[1].Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range mirrors {
		waitFor(t, 2*patience, "the final state is there", func() bool { return cmp.Equal(values(m), values(provider)) })
	}
	t.Logf("%d keys are the same on both after %v", len(values(provider)), time.Since(began).Round(time.Millisecond))
}

var _ natsbridge.Updates = (*state.Follower)(nil)

// TestBucketKeys: each key has a key of its own in the bucket, from which it comes back.
func TestBucketKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(topic(), rapid.String()).Draw(t, "key")
		in := natsbridge.BucketKey(key)
		back, ok := natsbridge.StateKey(in)
		if !ok || back != key {
			t.Fatalf("%q became %q and then %q", key, in, back)
		}
	})
}
