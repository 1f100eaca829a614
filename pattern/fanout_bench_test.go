package pattern_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/tincan-ipc/tincan/pattern"
)

// BenchmarkFanOut publishes to subscribers in the same process, none of which misses anything. An operation is one delivery.
func BenchmarkFanOut(b *testing.B) {
	for _, subscribers := range []int{1, 10, 100} {
		for _, topics := range []int{1, 10_000} {
			for _, scheme := range []string{"unix", "tcp"} {
				b.Run(fmt.Sprintf("%s/subscribers=%d/topics=%d", scheme, subscribers, topics), func(b *testing.B) {
					fanOut(b, scheme, subscribers, topics)
				})
			}
		}
	}
}

func fanOut(b *testing.B, scheme string, subscribers, topics int) {
	pub := pattern.NewPub(&pattern.Options{NoDrop: true})
	addr := listen(b, scheme, pub)
	n := max(1, b.N/subscribers)
	prefixes, messages := []string{"market."}, make([][]byte, 10_000)
	for i := range messages {
		m := make([]byte, 64)
		copy(m, fmt.Sprintf("market.%d.price", i))
		messages[i*7919%len(messages)] = m
	}
	if topics > 1 {
		prefixes = nil
		for i := range topics {
			prefixes = append(prefixes, fmt.Sprintf("market.%d.price", i))
		}
	}
	var done sync.WaitGroup
	for range subscribers {
		sub := follow(b, addr, nil, prefixes...)
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
	waitSubscribers(b, pub, subscribers*topics)
	b.SetBytes(64)
	b.ResetTimer()
	for i := range n {
		if err := pub.Send(b.Context(), messages[i%len(messages)]); err != nil {
			b.Fatal(err)
		}
	}
	done.Wait()
	b.StopTimer()
	b.ReportMetric(float64(n*subscribers)/b.Elapsed().Seconds()/1e6, "M/s")
}
