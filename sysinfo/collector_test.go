package sysinfo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/state"
)

// testPatience bounds every wait of a test: far more than what is waited for ever takes.
const testPatience = time.Minute

func TestMain(m *testing.M) {
	if play(os.Getenv(roleVariable)) {
		return
	}
	leaktest.Main(m)
}

// number gives a value of t.
func number(t *testing.T, table *state.Table, key string) float64 {
	t.Helper()
	raw, ok := table.Get(key)
	var n float64
	if !ok || json.Unmarshal(raw, &n) != nil {
		t.Fatalf("%s is %q", key, raw)
	}
	return n
}

func word(t *testing.T, table *state.Table, key string) string {
	t.Helper()
	raw, ok := table.Get(key)
	var s string
	if !ok || json.Unmarshal(raw, &s) != nil {
		t.Fatalf("%s is %q", key, raw)
	}
	return s
}

// near fails unless got is want, give or take within.
func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if got < want-within || got > want+within {
		t.Errorf("%s is %v, want %v, give or take %v", what, got, want, within)
	}
}

// keysWith gives those that begin with prefix.
func keysWith(table *state.Table, prefix string) []string {
	var keys []string
	for key := range table.Snapshot(prefix).Values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestLook(t *testing.T) {
	table := &state.Table{}
	c := &Collector{Failed: func(what string, err error) { t.Logf("%s: %v", what, err) }}
	r := c.newRun(time.Second)
	r.look(t.Context(), table)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := word(t, table, "host.name"); got != name {
		t.Errorf("the host is %q, want %q", got, name)
	}
	if got := word(t, table, "host.os"); got != runtime.GOOS {
		t.Errorf("the system is %q", got)
	}
	boot, err := time.Parse(time.RFC3339, word(t, table, "host.boot"))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the time since the boot", time.Since(boot).Seconds(), number(t, table, "host.uptime")+30, 90)
	if total, used := number(t, table, "mem.total"), number(t, table, "mem.used"); used <= 0 || used >= total {
		t.Errorf("%v of %v bytes of memory are used", used, total)
	}
	if keys := keysWith(table, "cpu."); slices.Contains(keys, "cpu.percent") {
		t.Errorf("a first look can't know %v", keys)
	}
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); { // so that a CPU's time advances
	}
	r.look(t.Context(), table)
	if all := number(t, table, "cpu.percent"); all < 0 || all > 100 {
		t.Errorf("CPUs are busy by %v %%", all)
	}
	number(t, table, "cpu.0.percent")
}

// TestLookIsQuiet: what is as it was is no change.
func TestLookIsQuiet(t *testing.T) {
	table := &state.Table{}
	calls := 0
	r := &run{failing: map[string]bool{}, sources: []*source{
		{what: "each", rounds: 1, read: func(_ context.Context, v *values) error {
			calls++
			v.gauge("a", float64(calls%2), 1, 2)
			v.counter("b", 1000+uint64(calls), kib)
			return nil
		}},
		{what: "third", rounds: 3, read: func(_ context.Context, v *values) error {
			v.set("c", uint64(calls))
			return nil
		}},
	}}
	for range 3 {
		r.look(t.Context(), table)
	}
	if table.Seq() != 3 || number(t, table, "c") != 1 {
		t.Errorf("%d changes, c is %v", table.Seq(), number(t, table, "c"))
	}
	r.look(t.Context(), table)
	if table.Seq() != 4 || number(t, table, "c") != 4 {
		t.Errorf("%d changes, c is %v", table.Seq(), number(t, table, "c"))
	}
}

// TestFailed: what fails is told once until it works again, takes its keys away, and stops nothing else.
func TestFailed(t *testing.T) {
	table := &state.Table{}
	broken := errors.New("broken")
	fails := []bool{false, true, true, false, true}
	round := 0
	var told []string
	r := &run{
		failing: map[string]bool{},
		failed: func(what string, err error) {
			if !errors.Is(err, broken) {
				t.Errorf("%s fails of %v", what, err)
			}
			told = append(told, what)
		},
		sources: []*source{
			{what: "part", rounds: 1, read: func(_ context.Context, v *values) error {
				v.set("part.first", "there")
				if fails[round] {
					return broken
				}
				v.set("part.second", "there")
				return nil
			}},
			{what: "rest", rounds: 1, read: func(_ context.Context, v *values) error {
				v.set("rest", uint64(round))
				return nil
			}},
		},
	}
	for ; round < len(fails); round++ {
		r.look(t.Context(), table)
		_, second := table.Get("part.second")
		if _, first := table.Get("part.first"); !first || second == fails[round] {
			t.Errorf("round %d: keys are %v", round, keysWith(table, "part."))
		}
		if got := number(t, table, "rest"); got != float64(round) {
			t.Errorf("round %d: the rest is of round %v", round, got)
		}
	}
	if want := []string{"part", "part"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestFullTable: a table that takes no more gets the rest once it does.
func TestFullTable(t *testing.T) {
	table := &state.Table{MaxKeys: 2}
	for _, key := range []string{"x", "y"} {
		if err := table.Set(key, 1); err != nil {
			t.Fatal(err)
		}
	}
	var told []error
	r := &run{failing: map[string]bool{}, failed: func(_ string, err error) { told = append(told, err) }}
	r.sources = []*source{{what: "one", rounds: 1, read: func(_ context.Context, v *values) error {
		v.set("a", uint64(1))
		return nil
	}}}
	r.look(t.Context(), table)
	r.look(t.Context(), table)
	if len(told) != 1 || !errors.Is(told[0], state.ErrFull) {
		t.Errorf("told %v", told)
	}
	table.Delete("x")
	r.look(t.Context(), table)
	number(t, table, "a")
}

// TestRun runs one collector for two tables, until each has looked twice.
func TestRun(t *testing.T) {
	c := &Collector{Interval: 10 * time.Millisecond, PIDs: []int{os.Getpid()}}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			table := &state.Table{}
			ctx, cancel := context.WithTimeout(t.Context(), testPatience)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx, table) }()
			w := table.Watch("cpu.percent")
			defer w.Close()
			for found := false; !found; {
				u, err := w.Next(ctx)
				if err != nil {
					t.Error(err)
					break
				}
				found = u.Change != nil || u.Snapshot != nil && len(u.Snapshot.Values) > 0
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Run gave %v", err)
			}
		})
	}
	both.Wait()
}

func TestMissingProcess(t *testing.T) {
	table := &state.Table{}
	var told []string
	c := &Collector{PIDs: []int{1 << 40, -1, 0}, Failed: func(what string, _ error) {
		if strings.HasPrefix(what, "process ") {
			told = append(told, what)
		}
	}}
	r := c.newRun(time.Second)
	r.look(t.Context(), table)
	r.look(t.Context(), table)
	if want := []string{"process 1099511627776", "process -1", "process 0"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if keys := keysWith(table, "proc."); len(keys) > 0 {
		t.Errorf("there is %v", keys)
	}
}

// documented are the keys that a text tells, with the words in capitals for what differs.
func documented(t *testing.T, file string, row *regexp.Regexp) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		keys = append(keys, keyWords.FindAllString(found[1], -1)...)
	}
	return keys
}

var (
	keyWords = regexp.MustCompile(`[a-z]+\.[A-Za-z0-9.]+`)
	docRow   = regexp.MustCompile(`(?m)^//\t(\S+(?:, \S+)*) {2,}`)
	pageRow  = regexp.MustCompile("(?m)^\\| (`.*?`) \\|")
	capitals = regexp.MustCompile(`[A-Z]+`)
)

// TestKeysAreDocumented: the package's documentation and the page tell the same keys, and no others are told.
func TestKeysAreDocumented(t *testing.T) {
	keys := documented(t, "doc.go", docRow)
	if page := documented(t, "../docs/management-information.md", pageRow); len(keys) == 0 || !slices.Equal(keys, page) {
		t.Fatalf("the package tells of\n%v, the page of\n%v", keys, page)
	}
	var patterns []string
	for _, key := range keys {
		patterns = append(patterns, capitals.ReplaceAllString(regexp.QuoteMeta(key), `.+`))
	}
	known := regexp.MustCompile("^(?:" + strings.Join(patterns, "|") + ")$")
	table := &state.Table{}
	r := (&Collector{PIDs: []int{os.Getpid()}}).newRun(time.Second)
	r.look(t.Context(), table)
	r.look(t.Context(), table)
	for _, key := range keysWith(table, "") {
		if !known.MatchString(key) {
			t.Errorf("%s is not documented", key)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	for name, c := range map[string]*Collector{
		"host": {}, "processes=1": {PIDs: []int{os.Getpid()}}, "names=1": {Names: []string{"nobody's"}},
	} {
		b.Run(name, func(b *testing.B) {
			table := &state.Table{}
			r := c.newRun(time.Second)
			b.ReportAllocs()
			for b.Loop() {
				r.look(b.Context(), table)
			}
		})
	}
}
