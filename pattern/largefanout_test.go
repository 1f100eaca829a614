package pattern_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// TestLargeMessagesAreShared holds what waits for many subscribers to the memory of the messages, not of the deliveries.
func TestLargeMessagesAreShared(t *testing.T) {
	const subscribers, messages, size = 50, 40, 64 << 10
	pub := pattern.NewPub(nil)
	addr := listen(t, "unix", pub)
	for range subscribers {
		c := rawPeer(t, stringAddr(addr), &zmtp.Config{Type: zmtp.Sub})
		if _, err := c.Write(zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendSubscribe(nil, nil))); err != nil {
			t.Fatal(err)
		}
	}
	waitSubscribers(t, pub, subscribers)
	before := memory()
	for range messages {
		publish(t, pub, "topic", string(make([]byte, size)))
	}
	used := memory() - before
	t.Logf("%d KiB hold %d deliveries of %d KiB", used>>10, subscribers*messages, size>>10)
	if used > 4*messages*size {
		t.Error("that is not of the messages alone")
	}
	if got := pub.Stats(); got.Dropped != 0 || got.Queued < subscribers {
		t.Errorf("%d dropped, %d queued", got.Dropped, got.Queued)
	}
}

// TestDroppedMessagesAreNotEncoded publishes long messages that no subscriber has room for: nothing is copied.
func TestDroppedMessagesAreNotEncoded(t *testing.T) {
	const subscribers = 3
	pub := pattern.NewPub(&pattern.Options{SendHighWater: 1})
	addr := listen(t, "unix", pub)
	for range subscribers {
		c := rawPeer(t, stringAddr(addr), &zmtp.Config{Type: zmtp.Sub})
		if _, err := c.Write(zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendSubscribe(nil, nil))); err != nil {
			t.Fatal(err)
		}
	}
	waitSubscribers(t, pub, subscribers)
	message := make([]byte, 1<<20)
	for range 1000 { // until what each can take is full, and all that come are dropped
		before := pub.Stats().Dropped
		if err := pub.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		if pub.Stats().Dropped == before+subscribers && pub.Stats().Queued == subscribers {
			break
		}
	}
	before := pub.Stats().Dropped
	allocs := testing.AllocsPerRun(10, func() {
		if err := pub.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	})
	if dropped := pub.Stats().Dropped - before; dropped != 11*subscribers {
		t.Fatalf("%d were dropped, want %d", dropped, 11*subscribers)
	}
	if allocs != 0 {
		t.Errorf("to drop a message takes %v allocations", allocs)
	}
}

// BenchmarkFanOutLarge publishes long messages to many subscribers in the same process. An operation is one delivery.
func BenchmarkFanOutLarge(b *testing.B) {
	for _, size := range []int{2 << 10, 8 << 10, 16 << 10, 64 << 10} {
		for _, subscribers := range []int{10, 100} {
			b.Run(fmt.Sprintf("%dKiB/subscribers=%d", size>>10, subscribers), func(b *testing.B) {
				pub := pattern.NewPub(&pattern.Options{NoDrop: true})
				addr := listen(b, "unix", pub)
				n := max(1, b.N/subscribers)
				var done sync.WaitGroup
				for range subscribers {
					sub := follow(b, addr, nil, "")
					done.Go(func() {
						for range n {
							m, err := sub.Borrow(b.Context())
							if err != nil {
								b.Error(err)
								return
							}
							m.Release()
						}
					})
				}
				waitSubscribers(b, pub, subscribers)
				message := make([]byte, size)
				b.SetBytes(int64(size))
				b.ResetTimer()
				for range n {
					if err := pub.Send(b.Context(), message); err != nil {
						b.Fatal(err)
					}
				}
				done.Wait()
			})
		}
	}
}
