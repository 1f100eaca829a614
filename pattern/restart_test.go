package pattern_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// TestRestartedSenders has senders come and go in order; nothing may be lost, or come twice.
func TestRestartedSenders(t *testing.T) {
	for _, scheme := range []string{"unix", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			const senders, lives, each = 4, 20, 500
			pull := pattern.NewPull(nil)
			defer pull.Close()
			addr, err := pull.Listen(t.Context(), endpoint(t, scheme))
			if err != nil {
				t.Fatal(err)
			}
			ctx := within(t)
			var wg sync.WaitGroup
			for i := range senders {
				wg.Go(func() {
					for life := range lives {
						push := pattern.NewPush(&pattern.Options{Linger: -1})
						if err := push.Dial(addr.String()); err != nil {
							t.Error(err)
						}
						for n := range each {
							id := uint32((i*lives+life)*each + n)
							if err := push.Send(ctx, binary.BigEndian.AppendUint32(nil, id), make([]byte, rand.IntN(300))); err != nil {
								t.Error(err)
							}
						}
						if err := push.Close(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			seen := make([]bool, senders*lives*each)
			for range seen {
				parts, err := pull.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				id := binary.BigEndian.Uint32(parts[0])
				if seen[id] {
					t.Fatalf("message %d came twice", id)
				}
				seen[id] = true
			}
			wg.Wait()
		})
	}
}

// TestRestartedReceivers has receivers come and go. What a receiver had, or the system had for it, when it went is lost and is
// known by its counters and the size of the system's buffer; all else arrives, once.
func TestRestartedReceivers(t *testing.T) {
	total := uint32(1_000_000)
	if testing.Short() || raceEnabled {
		total = 100_000
	}
	const receivers = 3
	push := pattern.NewPush(&pattern.Options{Linger: -1})
	addr, err := push.Listen(t.Context(), endpoint(t, "unix"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, finish := context.WithCancel(within(t))
	var mu sync.Mutex // guards what follows
	seen := make([]bool, total)
	received, restarts, dropped := 0, 0, uint64(0)
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() {
			for ctx.Err() == nil {
				pull := pattern.NewPull(&pattern.Options{Backoff: tincan.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
				if err := pull.Dial(addr.String()); err != nil {
					t.Error(err)
				}
				for range 10_000 + rand.IntN(20_000) {
					parts, err := pull.Recv(ctx)
					if err != nil {
						break
					}
					id := binary.BigEndian.Uint32(parts[0])
					mu.Lock()
					if seen[id] {
						t.Errorf("message %d came twice", id)
					}
					seen[id] = true
					received++
					mu.Unlock()
				}
				_ = pull.Close()
				mu.Lock()
				restarts++
				dropped += pull.Stats().Dropped
				mu.Unlock()
			}
		})
	}
	for id := range total {
		if err := push.Send(ctx, binary.BigEndian.AppendUint32(nil, id), make([]byte, 60)); err != nil {
			t.Fatal(err)
		}
	}
	if err := push.Close(); err != nil {
		t.Error(err)
	}
	finish()
	wg.Wait()
	const frames = 2 + 4 + 2 + 60
	lost := int(total) - received - int(dropped)
	if most := restarts * ((208 << 10) + largestRead) / frames; lost < 0 || lost > most {
		t.Errorf("%d of %d messages are unaccounted for, at most %d may be", lost, total, most)
	}
	t.Logf("%d sent, %d received, %d dropped by receivers that closed, %d lost with the buffers of %d connections",
		total, received, dropped, lost, restarts)
}
