package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// timesOf records each of times by a caller of its own.
func timesOf(times ...time.Duration) *durations {
	d := newDurations(len(times))
	for i, t := range times {
		d.record(i, t)
	}
	return d
}

func TestBenchPercentiles(t *testing.T) {
	d := newDurations(40)
	for i := range 1000 {
		d.record(i, time.Duration(i+1)*time.Microsecond)
	}
	var b benchResult
	b.spread(&measurement{times: d})
	for _, p := range []struct {
		name      string
		got, want float64
	}{{"min", b.Latency.Min, 1}, {"p50", b.Latency.P50, 500}, {"p90", b.Latency.P90, 900}, {"p99", b.Latency.P99, 990}, {"p99.9", b.Latency.P999, 999}, {"max", b.Latency.Max, 1000}} {
		if math.Abs(p.got-p.want) > p.want/1000 {
			t.Errorf("%s is %v, want %v to three digits", p.name, p.got, p.want)
		}
	}
	var n int64
	for _, row := range b.Histogram {
		n += row.Count
	}
	if n != 1000 || len(b.Histogram) > mostBuckets {
		t.Errorf("the histogram counts %d in %d rows", n, len(b.Histogram))
	}
}

func TestBenchTimesOutOfRange(t *testing.T) {
	h := timesOf(-time.Second, 0, time.Hour).merged()
	if h.TotalCount() != 3 || h.Min() != 1 || h.Max() < int64(longestTime) {
		t.Errorf("got %d times from %d to %d", h.TotalCount(), h.Min(), h.Max())
	}
}

func TestBenchBuckets(t *testing.T) {
	tests := []struct {
		name  string
		times []time.Duration
		want  []benchBucket
	}{
		{"one", []time.Duration{22 * time.Microsecond}, []benchBucket{{20, 25, 1}}},
		{"two", []time.Duration{20 * time.Microsecond, 26 * time.Microsecond}, []benchBucket{{20, 25, 1}, {25, 30, 1}}},
		{"on a bound, rounded down", []time.Duration{25 * time.Microsecond}, []benchBucket{{20, 25, 1}}},
		{"a gap", []time.Duration{11 * time.Microsecond, 16 * time.Microsecond}, []benchBucket{{10, 12, 1}, {12, 15, 0}, {15, 20, 1}}},
		{"shorter than the first bound", []time.Duration{5}, []benchBucket{{0.001, 0.01, 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, buckets(timesOf(test.times...).merged())); diff != "" {
				t.Error(diff)
			}
		})
	}
	wide := buckets(timesOf(1, time.Minute).merged())
	if len(wide) > mostBuckets || wide[0].Count != 1 || wide[len(wide)-1].Count != 1 {
		t.Errorf("from 1 ns to 1 min: %v", wide)
	}
}

func TestBenchReport(t *testing.T) {
	dropped := int64(250)
	tests := []struct {
		name   string
		result benchResult
		want   string
	}{
		{"times", benchResult{
			Work: "latency", Endpoint: "unix:x", Mechanism: "NULL", Size: 64, Count: 7, Seconds: 0.5, PerSecond: 14, BytesPerSecond: 896,
			Latency:   &benchLatency{Min: 11, P50: 20.25, P90: 30, P99: 40, P999: 50, Max: 60},
			Histogram: []benchBucket{{10, 20, 1}, {20, 50, 200}, {50, 100, 0}, {100, 200, 100}},
			counts:    "round trips", does: "one at a time",
		}, `latency over unix:x: one at a time, 64 B, NULL

round trips  7 in 0.500 s
rate         14/s, 896 B/s

time               min       p50       p90       p99     p99.9       max
µs                11.0      20.2      30.0      40.0      50.0      60.0

       10 - 20 µs              1 .
       20 - 50 µs            200 ########################################
       50 - 100 µs             0
      100 - 200 µs           100 ####################
`},
		{"drops", benchResult{
			Work: "fanout", Endpoint: "unix:x", Mechanism: "CURVE", Size: 1000, Count: 750, Seconds: 0.001, PerSecond: 750000, BytesPerSecond: 75e7,
			Dropped: &dropped, counts: "deliveries", does: "one Pub to 3 Subs",
		}, `fanout over unix:x: one Pub to 3 Subs, 1000 B, CURVE

deliveries   750 in 0.001 s
rate         750000/s, 750 MB/s
dropped      250, 25.0 % of what was published
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.result.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBenchHelpNamesFields holds the help to the names in the result.
func TestBenchHelpNamesFields(t *testing.T) {
	help := (&program{report: &reporter{}}).benchCommand().Long
	for _, v := range []any{benchResult{}, benchLatency{}, benchBucket{}} {
		for i := range reflect.TypeOf(v).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(help, `"`+name+`"`) {
				t.Errorf("the help of bench doesn't tell of %q", name)
			}
		}
	}
}

func TestBenchRates(t *testing.T) {
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	b := benchResult{Size: 10}
	b.rates([]stretch{{begin: at(1), end: at(3), n: 100}, {}, {begin: at(2), end: at(5), n: 300}})
	if b.Count != 400 || b.Seconds != 4 || b.PerSecond != 100 || b.BytesPerSecond != 1000 {
		t.Errorf("got %d in %v s, %v/s, %v B/s", b.Count, b.Seconds, b.PerSecond, b.BytesPerSecond)
	}
	b = benchResult{}
	b.rates(nil)
	if _, err := json.Marshal(&b); err != nil || b.PerSecond != 0 {
		t.Errorf("of nothing: %v/s, %v", b.PerSecond, err)
	}
}

// TestBenchNote counts what two receivers get: from the first message after the warm-up, with what is missing between.
func TestBenchNote(t *testing.T) {
	var m measurement
	m.count = 3
	m.stretches = make([]stretch, 2)
	m.receiving.Store(2)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	m.received = cancel
	one, two := &m.stretches[0], &m.stretches[1]
	m.note(one, 4)
	m.measuring.Store(true)
	for _, number := range []uint64{5, 6, 9, 10, 11} {
		m.note(one, number)
	}
	if one.n != 3 || one.dropped != 2 || one.end.Before(one.begin) {
		t.Errorf("got %d messages and %d missing, want 3 and 2", one.n, one.dropped)
	}
	if ctx.Err() != nil {
		t.Fatal("it ended before the second receiver had its messages")
	}
	m.note(two, 7)
	m.over.Store(true)
	m.note(two, 8)
	if two.n != 1 || two.dropped != 0 {
		t.Errorf("got %d messages and %d missing, want 1 and 0", two.n, two.dropped)
	}
	if !errors.Is(context.Cause(ctx), errReceived) {
		t.Errorf("it has not ended: %v", context.Cause(ctx))
	}
}

// TestBenchCourse runs the clock of a measurement: its phases, and the end of one that stalls.
func TestBenchCourse(t *testing.T) {
	for _, warmUp := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var m measurement
			start := time.Now()
			err := m.run(t.Context(), warmUp, 3*time.Second, func(ctx context.Context) error {
				synctest.Wait()
				if got := m.measuring.Load(); got != (warmUp == 0) {
					t.Errorf("measuring at once is %v", got)
				}
				time.Sleep(warmUp + time.Millisecond)
				if !m.measuring.Load() || m.over.Load() {
					t.Error("it doesn't measure after the warm-up")
				}
				time.Sleep(3 * time.Second)
				if !m.over.Load() {
					t.Error("it isn't over after its time")
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if got, want := time.Since(start), warmUp+3*time.Second+stallTime; got != want || exitCode(err) != 4 {
				t.Errorf("it ended after %v with %v, want %v and a timeout", got, err, want)
			}
		})
	}
}

// A slowEcho replies after a while.
type slowEcho time.Duration

func (s slowEcho) Request(_ context.Context, parts ...[]byte) ([][]byte, error) {
	time.Sleep(time.Duration(s))
	return parts, nil
}

// TestBenchAsk: what begins within the stretch counts, with all of its time, and what began before doesn't.
func TestBenchAsk(t *testing.T) {
	tests := []struct {
		name      string
		takes     time.Duration
		callers   int
		count     int64
		want      int64
		seconds   float64
		exit, max int // max in ms
	}{
		{"within", time.Second, 1, 0, 10, 10, 0, 1000},
		{"over the end", 4 * time.Second, 2, 0, 6, 12, 0, 4000},
		{"by count", time.Second, 3, 7, 7, 3, 0, 1000},
		{"all of it", 15 * time.Second, 2, 0, 0, 0, 4, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &measurement{size: 5, count: test.count}
				// The warm-up ends in the middle of a trip, so that trips and phases never change at one instant.
				warmUp := test.takes - time.Second/2
				err := m.run(t.Context(), min(warmUp, 2500*time.Millisecond), 10*time.Second, func(ctx context.Context) error {
					return m.ask(ctx, slowEcho(test.takes), test.callers)
				})
				if err != nil {
					t.Fatal(err)
				}
				var b benchResult
				b.rates(m.stretches)
				b.spread(m)
				if err := b.check(time.Second); exitCode(err) != test.exit {
					t.Errorf("exit code %d, want %d: %v", exitCode(err), test.exit, err)
				}
				if b.Count != test.want || b.Seconds != test.seconds {
					t.Errorf("counted %d in %v s, want %d in %v s", b.Count, b.Seconds, test.want, test.seconds)
				}
				if got := m.times.merged().Max() / int64(time.Millisecond); got < int64(test.max) || got > int64(test.max)*1001/1000 {
					t.Errorf("the longest took %d ms, want %d", got, test.max)
				}
			})
		})
	}
}

func TestBenchErrors(t *testing.T) {
	e, err := tincan.ParseEndpoint("tcp://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"never answered", notReached(e, time.Second, nil), 3},
		{"refused", notReached(e, time.Second, syscall.ECONNREFUSED), 3},
		{"timed out", notReached(e, time.Second, context.DeadlineExceeded), 3},
		{"denied", notReached(e, time.Second, tincan.ErrNotAllowed), 6},
		{"lost in order", lostError(e, nil), 5},
		{"lost", lostError(e, syscall.ECONNRESET), 5},
		{"silent", lostError(e, pattern.ErrHeartbeat), 1},
		{"other size", (&measurement{size: 3}).checkSize([][]byte{{1}, {2, 3}}), 1},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%s: exit code %d, want %d: %v", test.name, got, test.want, test.err)
		}
	}
	if err := (&measurement{size: 3}).checkSize([][]byte{{1, 2, 3}}); err != nil {
		t.Error(err)
	}
}

func TestBenchListeningURL(t *testing.T) {
	for line, want := range map[string]string{
		"listening on tcp://127.0.0.1:5\n":                             "tcp://127.0.0.1:5",
		`{"time":"x","event":"listening","url":"unix:/a"}` + "\n":      "",
		`{"event":"listening","url":"unix:/a"}` + "\n":                 "unix:/a",
		`{"event":"accepted","url":"unix:/a"}`:                         "",
		"tincan: listen tcp 127.0.0.1:5: bind: address already in use": "",
		"": "",
	} {
		if url, ok := listeningURL(line); url != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", line, url, ok)
		}
	}
}

// TestBenchPassOn: what the serving side says goes on, but for where it listens; a last line without its end too.
func TestBenchPassOn(t *testing.T) {
	var said strings.Builder
	r := &benchRun{program: &program{report: &reporter{w: &said}}}
	listening := make(chan string, 1)
	r.passOn(io.MultiReader(strings.NewReader("one\nlisten"), strings.NewReader("ing on unix:x\ntwo\nlistening on unix:y\nthree")), listening)
	if got := <-listening; got != "unix:x" || said.String() != "one\ntwo\nthree" {
		t.Errorf("it listens on %q, and said %q", got, said.String())
	}
}
