package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's binary be started again as a party, as bench's is.
func TestMain(m *testing.M) {
	if os.Getenv(partyEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestCompareInterleaves(t *testing.T) {
	broken := errors.New("broken")
	var order []string
	w := work{contenders: []contender{{name: "A"}, {name: "B"}, {name: "C"}, {name: "D"}}}
	missing := func(c contender) string {
		if c.name == "B" {
			return "b-program"
		}
		return ""
	}
	got := compare(t.Context(), w, 3, missing, func(_ context.Context, c contender) ([]float64, error) {
		order = append(order, c.name)
		if c.name == "C" && len(order) > 3 {
			return nil, broken
		}
		return []float64{float64(len(order)), 0.5}, nil
	})
	if want := strings.Fields("A C D A C D A D"); !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if want := []float64{1, 4, 7}; !slices.Equal(got[0].number(0), want) {
		t.Errorf("samples %v, want %v", got[0].samples, want)
	}
	if want := []float64{0.5, 0.5, 0.5}; !slices.Equal(got[0].number(1), want) {
		t.Errorf("samples beside %v, want %v", got[0].samples, want)
	}
	if got[1].missing != "b-program" || got[1].samples != nil {
		t.Errorf("B: %+v", got[1])
	}
	if !errors.Is(got[2].err, broken) {
		t.Errorf("C: %v", got[2].err)
	}
}

// A whole repetition, with real processes: a party in Go on each side.
func TestOneRepetition(t *testing.T) {
	l := testLab(t)
	o := options{time: 10 * time.Millisecond}
	for _, scheme := range []string{"unix", "tcp"} {
		w := streamTrips(o, scheme, same)
		for _, c := range w.contenders {
			if !strings.HasPrefix(c.server(address{}).program, goProgram) {
				continue
			}
			v, err := l.once(w, o.time)(t.Context(), c)
			if err != nil || len(v) != 1 || v[0] <= 0 || v[0] > 1e6 {
				t.Errorf("%s, %s: %v us, %v", scheme, c.name, v, err)
			}
		}
	}
}

// Every library passes messages in every work that it takes part in: what comes is counted and checked.
func TestOneMessageRepetition(t *testing.T) {
	l := testLab(t)
	if err := l.compileAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	const tcp = "tcp" // which all speak
	eachCounts(t, l, nil, func(o options) []work {
		return []work{
			messageTrips(o, tcp, same), messageTrips(o, "unix", same), messageFlow(o, 0, tcp, same), messageFlow(o, 1, "unix", same), messageFlow(o, 2, tcp, same),
			peerTrips(o, "unix", same), peerFlow(o, 0, "unix", same), fanOut(o, 10, tcp, same), fanOutTopics(o, tcp, same),
			inlineCallers(o, tcp, same), goroutineCallers(o, tcp, same), idlePeers(tcp, 100),
		}
	})
}

// eachCounts has each of the contenders named, or all where names is nil, do each work, and wants every number of it to be more than nothing.
func eachCounts(t *testing.T, l *lab, names []string, works func(options) []work) {
	t.Helper()
	shortly := options{time: 10 * time.Millisecond}
	for i, w := range works(shortly) {
		numbers := 1
		if w.beside != nil {
			numbers = 2
		}
		for j, c := range w.contenders {
			if names != nil && !slices.Contains(names, c.name) {
				continue
			}
			if why := l.missingFor(w)(c); why != "" {
				lacks(t, w.name, c.name, why)
				continue
			}
			v, err := l.once(w, shortly.time)(t.Context(), c)
			if err == nil && len(v) == numbers && slices.Min(v) == 0 { // on a busy machine who counts may not have had its turn
				o := options{time: 2 * time.Second}
				w := works(o)[i]
				v, err = l.once(w, o.time)(t.Context(), w.contenders[j])
			}
			if err != nil || len(v) != numbers || slices.Min(v) <= 0 {
				t.Errorf("%s, %s: %v, %v", w.name, c.name, v, err)
			}
		}
	}
}

// Jobs and changes pass through a server that stores them, and what comes is counted and checked.
func TestOneStoredRepetition(t *testing.T) {
	l := testLab(t)
	o := options{time: 100 * time.Millisecond} // a batch may take longer than a hundredth of a second
	for _, w := range append(natsQueue(o, same), natsState(o, same)...) {
		numbers := 1
		if w.beside != nil {
			numbers = 2
		}
		for _, c := range w.contenders {
			v, err := l.once(w, o.time)(t.Context(), c)
			if err != nil || len(v) != numbers || slices.Min(v) <= 0 {
				t.Errorf("%s, %s: %v, %v", w.name, c.name, v, err)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(l.dir, "nats-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("what was stored is left: %v, %v", left, err)
	}
}

// A job that comes twice, is cut or can't have been put yet is told.
func TestDoneJobs(t *testing.T) {
	job := func(n uint64) []byte {
		b := make([]byte, jobSize)
		setNumber(b, n)
		return b
	}
	var d doneJobs
	for i, n := range []uint64{1, 0, 64, jobWindow} {
		if count, err := d.add(job(n)); count != uint64(i+1) || err != nil {
			t.Errorf("job %d: %d, %v", n, count, err)
		}
	}
	for name, b := range map[string][]byte{"twice": job(64), "cut": job(2)[1:], "too soon": job(1 << 40)} {
		if _, err := d.add(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if d.total() != 7 {
		t.Errorf("%d are counted", d.total())
	}
}

// lacks tells that a contender needs what isn't there, which in CI is a failure.
func lacks(t *testing.T, work, contender, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Errorf("%s, %s: no %s", work, contender, why)
		return
	}
	t.Logf("%s, %s: no %s", work, contender, why)
}

// A relay stands between the two, and the one that is measured is the relay.
func TestOneRelayedRepetition(t *testing.T) {
	l := testLab(t)
	if err := l.compileAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	eachCounts(t, l, []string{"C splice", "io.Copy", "package relay"}, func(o options) []work {
		return []work{relayTransfer(o, "tcp", "unix"), relayTransfer(o, "unix", "unix"), relayTrips(o, "tcp", split), relayUDP(o)}
	})
}

// What a process and those that outlived it took of the processor is known in the end.
func TestOrphansTime(t *testing.T) {
	l := testLab(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	l.programs["sh"] = sh
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	busy := "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"
	p, err := l.start(t.Context(), command{program: "sh", args: []string{"-c", "(" + busy + "; echo done) & exit"}}, l.cores[0])
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(p.stdout); err != nil || string(out) != "done\n" { // the orphan's words
		t.Fatalf("%q, %v", out, err)
	}
	p.serve()
	p.stop()
	if took := orphansTime(p.cmd.Process.Pid); took < time.Millisecond || took > time.Minute {
		t.Errorf("the orphan took %v", took)
	}
}

func TestProcessorTime(t *testing.T) {
	testLab(t)
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 10*time.Millisecond; {
	}
	after, err := processorTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
}

func TestRepetitionTellsFailures(t *testing.T) {
	l := testLab(t)
	at := func(address) command { return goParty("no-such-party") }
	echo := func(at address) command { return goParty("stream-echo", "net", at.String(), "64") }
	for name, c := range map[string]contender{
		"server": {server: at, client: at},
		"client": {server: echo, client: at},
	} {
		_, err := l.once(work{scheme: "unix", place: same}, time.Millisecond)(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "no such party") {
			t.Errorf("%s: the error lacks what the program said: %v", name, err)
		}
	}
}

func testLab(t *testing.T) *lab {
	cores, err := allowedCores()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system holds no process to a core")
	}
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bench") // a Unix socket needs a shorter path than t.TempDir has
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return &lab{dir: dir, programs: map[string]string{goProgram: self}, missing: map[string]string{}, cores: cores}
}

func TestLacks(t *testing.T) {
	l := &lab{programs: map[string]string{goProgram: "x"}, missing: map[string]string{"ncat": "ncat (not found)"}}
	for want, c := range map[string]command{"": goParty("any"), "ncat (not found)": {program: "ncat"}, "c/bulk": cParty("bulk")} {
		if got := l.lacks(goParty("any"), c); got != want {
			t.Errorf("%v: %q, want %q", c, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"-reps 4", "-time 1ms", "-time 31s", "-run (", "-contenders (", "-nonsense", "word"} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", args, err)
		}
	}
	c, err := parseFlags(strings.Fields("-reps 7 -time 20ms -run udp -require-rivals -json x.json"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.reps != 7 || c.time != 20*time.Millisecond || !c.require || c.json != "x.json" || !c.only.MatchString("udp: echo") || c.only.MatchString("idle") {
		t.Errorf("%+v", c)
	}
}

// Every work has contenders that differ by name, a base among them, and a load to print in.
func TestSuitesAreWhole(t *testing.T) {
	parties := map[string]bool{}
	titles := map[string]bool{}
	for _, s := range suites() {
		for name := range s.parties {
			if parties[name] {
				t.Errorf("two parties are called %s", name)
			}
			parties[name] = true
		}
	}
	for _, s := range suites() {
		for _, w := range s.works(options{time: time.Second}) {
			title := s.name + w.name + string(w.place)
			if titles[title] {
				t.Errorf("two works are called %s", title)
			}
			titles[title] = true
			var names []string
			for _, c := range w.contenders {
				if slices.Contains(names, c.name) {
					t.Errorf("%s: two contenders are called %s", title, c.name)
				}
				names = append(names, c.name)
				at := address{"unix", "/x"}
				sides := []command{c.server(at), c.client(at)}
				if c.broker != nil {
					sides = append(sides, c.broker(at))
				}
				if c.relay != nil {
					sides = append(sides, c.relay(at, address{"unix", "/y"}))
				}
				for _, side := range sides {
					if side.program == goProgram && !parties[side.args[0]] {
						t.Errorf("%s: %s: no party %s", title, c.name, side.args[0])
					}
				}
			}
			if w.base != "" && !slices.Contains(names, w.base) {
				t.Errorf("%s: the base %s is no contender", title, w.base)
			}
			if b := w.beside; b != nil && !slices.EqualFunc(b.contenders, w.contenders, func(a, b contender) bool { return a.name == b.name }) {
				t.Errorf("%s: what is measured beside has other contenders", title)
			}
		}
	}
}

func TestChosenContenders(t *testing.T) {
	names := func(cs []contender) (names []string) {
		for _, c := range cs {
			names = append(names, c.name)
		}
		return names
	}
	all := []contender{{name: "A"}, {name: "B"}, {name: "C"}}
	w := work{base: "B", contenders: all, beside: &work{base: "B", contenders: all}}
	got := w.of(regexp.MustCompile("^C"))
	want := []string{"B", "C"}
	if !slices.Equal(names(got.contenders), want) || !slices.Equal(names(got.beside.contenders), want) {
		t.Errorf("%v and %v, want %v", names(got.contenders), names(got.beside.contenders), want)
	}
	if len(names(w.contenders)) != 3 || len(w.beside.contenders) != 3 {
		t.Error("the work itself was changed")
	}
}

func TestAddresses(t *testing.T) {
	for url, want := range map[string]address{
		"tcp://127.0.0.1:80": {"tcp", "127.0.0.1:80"},
		"unix:/a/b":          {"unix", "/a/b"},
		"unixgram:/a":        {"unixgram", "/a"},
	} {
		got, err := parseAddress(url)
		if err != nil || got != want || got.String() != url {
			t.Errorf("%s: %+v (%s), %v", url, got, got, err)
		}
	}
	if _, err := parseAddress("nothing"); err == nil {
		t.Error("an address without a scheme passed")
	}
	l := &lab{dir: "/x"}
	a, errA := l.newAddress("tcp")
	b, errB := l.newAddress("tcp")
	if a == b || errA != nil || errB != nil {
		t.Errorf("%v and %v, %v, %v", a, b, errA, errB)
	}
	if port, err := strconv.Atoi(a.port()); err != nil || port < firstPort || port >= lastPort {
		t.Errorf("port %d, %v", port, err)
	}
}

func TestReadingSystemText(t *testing.T) {
	const rollup = "x [rollup]\nRss: 9 kB\nPss:                 400 kB\nPss_Dirty: 1 kB\nPss_Anon:  362 kB\nPss_File:   38 kB\nPss_Shmem: 2 kB\nSwapPss: 1 kB\n"
	if got, err := parseHeld(rollup); got != 365<<10 || err != nil {
		t.Errorf("held: %d, %v", got, err)
	}
	if _, err := parseHeld("Rss: 9 kB\nPss: 9 kB\n"); err == nil {
		t.Error("a text without kinds of memory passed")
	}
	for text, want := range map[string]string{
		"gcc (Debian 12.2.0-14+deb12u1) 12.2.0": "12.2.0-14+deb12u1",
		"Ncat: Version 7.93 ( https://x )":      "7.93",
		"by 3 men. See\nsocat version 1.7.4.4":  "1.7.4.4",
		"devel\nmore":                           "devel",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := cpuName([]byte("processor : 0\nmodel name\t: AMD EPYC\n")); got != "AMD EPYC" {
		t.Errorf("cpu: %q", got)
	}
}
