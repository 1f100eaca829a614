package dash

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A Latency is a time that is measured.
type Latency int

// What is measured.
const (
	// FirstByte is the time from accept(2) until the first byte was sent to the client.
	FirstByte Latency = iota
	// Reply is the time from a request, read or sent, until its reply was sent or read.
	Reply
	// Dial is the time of one successful connect(2).
	Dial
)

// latencyNames are those of the published values.
var latencyNames = [...]string{"first-byte", "reply", "dial"}

// Quantiles are those of the times of one second, in milliseconds.
type Quantiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// maxTimes is how many times of one second are kept: of more, a fair choice.
const maxTimes = 1024

// A latency gathers times.
type latency struct {
	times []time.Duration
	count int
	max   time.Duration
}

func (l *latency) add(d time.Duration) {
	l.count++
	l.max = max(l.max, d)
	if len(l.times) < maxTimes {
		l.times = append(l.times, d)
	} else if i := rand.IntN(l.count); i < maxTimes { // each is kept as likely as any other (Vitter's algorithm R)
		l.times[i] = d
	}
}

// take gives the quantiles of what was gathered and forgets it; false where there was nothing.
func (l *latency) take() (Quantiles, bool) {
	if l.count == 0 {
		return Quantiles{}, false
	}
	slices.Sort(l.times)
	at := func(q float64) float64 {
		return milliseconds(l.times[min(int(q*float64(len(l.times))), len(l.times)-1)])
	}
	q := Quantiles{Count: l.count, P50: at(0.5), P99: at(0.99), Max: milliseconds(l.max)}
	l.times, l.count, l.max = l.times[:0], 0, 0
	return q, true
}

// Took notes a time.
func (m *Model) Took(what Latency, d time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latencies[what].add(d)
}

// milliseconds is a time as the page shows it, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
