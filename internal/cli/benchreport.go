package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// longestTime is the longest duration that is told from longer ones: more than a run may stall.
const longestTime = 10 * time.Minute

// durations are the times that callers measure, to three digits. All memory is taken beforehand, and
// callers share it without waiting for one another much.
type durations struct{ shards []durationShard }

type durationShard struct {
	mu sync.Mutex // guards h
	h  *hdrhistogram.Histogram
	_  [48]byte // fills a cache line
}

// durationShards bounds the memory, of some 250 KiB a shard, however many the callers.
const durationShards = 16

func newDurations(callers int) *durations {
	d := &durations{shards: make([]durationShard, min(callers, durationShards))}
	for i := range d.shards {
		d.shards[i].h = hdrhistogram.New(1, int64(longestTime), 3)
	}
	return d
}

// record counts what the caller of number i has measured.
func (d *durations) record(i int, t time.Duration) {
	s := &d.shards[i%len(d.shards)]
	s.mu.Lock()
	_ = s.h.RecordValue(int64(max(1, min(t, longestTime)))) // within its bounds
	s.mu.Unlock()
}

func (d *durations) merged() *hdrhistogram.Histogram {
	all := hdrhistogram.New(1, int64(longestTime), 3)
	for i := range d.shards {
		all.Merge(d.shards[i].h)
	}
	return all
}

// A benchResult is what bench --json writes. Its names are relied upon: they are told in the help.
type benchResult struct {
	Work           string        `json:"work"`
	Endpoint       string        `json:"endpoint"`
	ZMTP           string        `json:"zmtp"`
	Mechanism      string        `json:"mechanism"`
	Size           int           `json:"size"`
	Callers        int           `json:"callers,omitempty"`
	Subscribers    int           `json:"subscribers,omitempty"`
	Drop           bool          `json:"drop,omitempty"`
	Count          int64         `json:"count"`
	Seconds        float64       `json:"seconds"`
	PerSecond      float64       `json:"per_second"`
	BytesPerSecond float64       `json:"bytes_per_second"`
	Dropped        *int64        `json:"dropped,omitempty"`
	Latency        *benchLatency `json:"latency_us,omitempty"`
	Histogram      []benchBucket `json:"histogram,omitempty"`
	Versions       build         `json:"versions"`

	counts, does string
}

// A benchLatency is the spread of times in µs.
type benchLatency struct {
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// A benchBucket counts the times from one bound up to, and without, the next.
type benchBucket struct {
	From  float64 `json:"from_us"`
	To    float64 `json:"to_us"`
	Count int64   `json:"count"`
}

// result makes the report of m, which is done; peers are those of its first socket.
func (r *benchRun) result(e *tincan.Endpoint, peers []pattern.PeerInfo, m *measurement) *benchResult {
	b := &benchResult{
		Work: r.work.name, Endpoint: e.String(), Size: m.size, Versions: readBuild(), counts: r.work.counts, does: r.work.does,
	}
	if len(peers) > 0 {
		b.ZMTP, b.Mechanism = fmt.Sprintf("%d.%d", peers[0].Major, peers[0].Minor), peers[0].Mechanism
	}
	b.rates(m.stretches)
	switch r.work.name {
	case "requests":
		b.Callers = len(m.stretches)
		b.does = fmt.Sprintf(b.does, b.Callers)
	case "fanout":
		b.Subscribers, b.Drop, b.Dropped = len(m.stretches), r.flags.drop, new(int64)
		b.does = fmt.Sprintf(b.does, b.Subscribers)
		for _, t := range m.stretches {
			*b.Dropped += t.dropped
		}
	}
	if m.times != nil {
		b.spread(m)
	}
	return b
}

// rates sets what was counted, and how much of that there was in a second, from the
// first beginning to the last end.
func (b *benchResult) rates(stretches []stretch) {
	var begin, end time.Time
	for _, t := range stretches {
		if t.n == 0 {
			continue
		}
		if begin.IsZero() || t.begin.Before(begin) {
			begin = t.begin
		}
		if t.end.After(end) {
			end = t.end
		}
		b.Count += t.n
	}
	if b.Seconds = end.Sub(begin).Seconds(); b.Seconds > 0 {
		b.PerSecond = float64(b.Count) / b.Seconds
		b.BytesPerSecond = b.PerSecond * float64(b.Size)
	}
}

// check refuses a result of nothing: what was under way took all the time there was, length.
func (b *benchResult) check(length time.Duration) error {
	if b.Count > 0 {
		return nil
	}
	return &hintedError{
		error: &timeoutError{what: "none of the " + b.counts + " began and ended within", after: length},
		hint:  "give it a longer --duration",
	}
}

func (b *benchResult) spread(m *measurement) {
	h := m.times.merged()
	if h.TotalCount() == 0 {
		return
	}
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	b.Latency = &benchLatency{
		Min: micros(h.Min()), P50: micros(at[0]), P90: micros(at[1]), P99: micros(at[2]), P999: micros(at[3]), Max: micros(h.Max()),
	}
	b.Histogram = buckets(h)
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

// mostBuckets is how many rows a histogram has at most.
const mostBuckets = 20

// bucketSteps are the bounds within a decade, in tenths, from fine to coarse.
var bucketSteps = [][]int64{{10, 12, 15, 20, 25, 30, 40, 50, 60, 80}, {10, 15, 20, 30, 50, 70}, {10, 20, 50}, {10}}

// buckets counts the times of h, which has some, in buckets with round bounds: the narrowest of which there
// are not too many. What lies on a bound may count on either side, as h has three digits.
func buckets(h *hdrhistogram.Histogram) []benchBucket {
	bars := slices.DeleteFunc(h.Distribution(), func(b hdrhistogram.Bar) bool { return b.Count == 0 })
	var bounds []int64
	for _, steps := range bucketSteps {
		bounds = bucketBounds(steps, bars[0].From, bars[len(bars)-1].From)
		if len(bounds)-1 <= mostBuckets {
			break
		}
	}
	rows := make([]benchBucket, len(bounds)-1)
	for i := range rows {
		rows[i].From, rows[i].To = micros(bounds[i]), micros(bounds[i+1])
	}
	row := 0
	for _, bar := range bars {
		for bar.From >= bounds[row+1] {
			row++
		}
		rows[row].Count += bar.Count
	}
	return rows
}

// bucketBounds gives the bounds from the last one that is not over low to the first that is over high, in ns.
func bucketBounds(steps []int64, low, high int64) []int64 {
	bounds := []int64{1}
	for decade := int64(1); ; decade *= 10 {
		for _, step := range steps {
			if bound := step * decade; bound <= low {
				bounds[0] = bound
			} else {
				bounds = append(bounds, bound)
			}
			if bounds[len(bounds)-1] > high {
				return bounds
			}
		}
	}
}

// publish writes b to standard output.
func (r *benchRun) publish(b *benchResult) error {
	if !r.report.json {
		return r.print(b.String())
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return r.print(string(text) + "\n")
}

// String is the report in words: a table and a histogram.
func (b *benchResult) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s over %s: %s, %d B, %s\n\n", b.Work, b.Endpoint, b.does, b.Size, b.Mechanism)
	fmt.Fprintf(&s, "%-12s %d in %.3f s\n", b.counts, b.Count, b.Seconds)
	fmt.Fprintf(&s, "%-12s %.0f/s, %s/s\n", "rate", b.PerSecond, decimalSize(b.BytesPerSecond))
	if b.Dropped != nil {
		fmt.Fprintf(&s, "%-12s %d, %.1f %% of what was published\n", "dropped", *b.Dropped, 100*float64(*b.Dropped)/float64(max(1, *b.Dropped+b.Count)))
	}
	if b.Latency == nil {
		return s.String()
	}
	l := b.Latency
	fmt.Fprintf(&s, "\n%-12s %9s %9s %9s %9s %9s %9s\n", "time", "min", "p50", "p90", "p99", "p99.9", "max")
	fmt.Fprintf(&s, "%-12s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n\n", "µs", l.Min, l.P50, l.P90, l.P99, l.P999, l.Max)
	s.WriteString(histogram(b.Histogram))
	return s.String()
}

// barWidth is how long the longest bar is.
const barWidth = 40

// histogram draws rows, each a bar as long as its share of the fullest; a dot is a share too small for one.
func histogram(rows []benchBucket) string {
	var fullest int64 = 1
	for _, row := range rows {
		fullest = max(fullest, row.Count)
	}
	var s strings.Builder
	for _, row := range rows {
		bar := strings.Repeat("#", int(row.Count*barWidth/fullest))
		if bar == "" && row.Count > 0 {
			bar = "."
		}
		line := fmt.Sprintf("%9s - %-9s %10d %s", micro(row.From), micro(row.To)+" µs", row.Count, bar)
		s.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return s.String()
}

// micro writes a number of µs as short as it goes.
func micro(us float64) string { return strconv.FormatFloat(us, 'f', -1, 64) }

// decimalSize writes bytes with three digits or so.
func decimalSize(n float64) string {
	units := []string{"B", "kB", "MB", "GB"}
	i := 0
	for ; n >= 1000 && i < len(units)-1; i++ {
		n /= 1000
	}
	return fmt.Sprintf("%.3g %s", n, units[i])
}
