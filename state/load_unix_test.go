//go:build unix

package state

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// loadEnv makes this test binary a process of clients, of the network and address that it names.
const loadEnv = "TINCAN_STATE_CLIENTS"

// A load is how much TestManyClients does.
type load struct {
	clients, perProcess int
	rate                int // changes a second
	calm, stopped       time.Duration
	wakes               time.Duration // in which a stopped client has to be right
	slack               time.Duration // how much slower others may get by what else runs on the machine
}

const loadKeys = 100

// TestManyClients has very many clients follow a state that changes all the time, then stops one process of them in ten: the others' latency
// and the server's memory stay, and all end with the exact state, those that were stopped soon after they wake. TINCAN_SOAK=1 is the
// full size: a thousand clients, a thousand changes a second, a minute.
func TestManyClients(t *testing.T) {
	l := load{clients: 100, perProcess: 10, rate: 300, calm: time.Second, stopped: 2 * time.Second, wakes: patience, slack: time.Second / 2}
	if os.Getenv("TINCAN_SOAK") != "" {
		l = load{clients: 1000, perProcess: 100, rate: 1000, calm: 20 * time.Second, stopped: time.Minute, wakes: time.Second, slack: 20 * time.Millisecond}
	}
	for _, endpoint := range []string{"unix:" + filepath.Join(shortDir(t), "s"), "tcp://127.0.0.1:0"} {
		network, _, _ := strings.Cut(endpoint, ":")
		t.Run(network, func(t *testing.T) {
			l := l
			if network == "tcp" {
				l.wakes += time.Second / 2 // a second is the least that bounds the system's waits; then they have all to read
			}
			l.run(t, network, endpoint)
		})
	}
}

func (l load) run(t *testing.T, network, endpoint string) {
	table := &Table{}
	s := &Server{Table: table}
	h := serve(t, s, endpoint)
	address := strings.TrimPrefix(strings.TrimPrefix(h.url, network+":"), "//")
	var all []*clients
	for range l.clients / l.perProcess {
		all = append(all, startClients(t, network, address, l.perProcess))
	}
	for _, c := range all {
		c.ask("ready")
	}
	last, others := all[0], all[1:]
	for _, c := range all {
		c.hear("ready")
	}

	before := l.phase(table, l.calm, others)
	base := memory()
	if err := last.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	during := l.phase(table, l.stopped, others)
	grown := int64(memory()) - int64(base)
	slow := s.Stats()

	final := fmt.Sprint("final ", table.Seq(), " ", digest(valuesOf(table.Snapshot().Values)))
	for _, c := range others {
		c.ask(final)
	}
	for _, c := range others {
		c.hear("right")
	}
	last.ask(final)
	woke := time.Now()
	if err := last.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	last.hear("right")
	took := time.Since(woke)

	t.Logf("%d clients, %d changes a second: latency of all %v, of the others with one in ten stopped for %v %v", l.clients, l.rate, before, l.stopped, during)
	t.Logf("memory grew by %d KiB; of those stopped all were right %v after they woke; delivered %d, missed %d",
		grown>>10, took.Round(time.Millisecond), slow.Delivered, slow.Missed)
	if took > l.wakes {
		t.Errorf("the stopped were right after %v", took)
	}
	if most := int64(l.perProcess) * (8 * batchSize); grown > most+16<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if during.median > 3*before.median+l.slack {
		t.Errorf("latency was %v, and is %v", before, during)
	}
}

// memory gives the bytes that the heap and the stacks have.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// phase changes the table for so long, at the load's rate, and gives the latency of the clients.
func (l load) phase(table *Table, d time.Duration, of []*clients) latency {
	for _, c := range of {
		c.ask("begin")
	}
	begin := time.Now()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for n := 0; time.Since(begin) < d; <-pace.C {
		for ; n < int(time.Since(begin).Seconds()*float64(l.rate)); n++ {
			if err := table.Set(fmt.Sprint("key", n%loadKeys), time.Now().UnixNano()); err != nil {
				panic(err)
			}
		}
	}
	var got []latency
	for _, c := range of {
		c.ask("end")
	}
	for _, c := range of {
		got = append(got, parseLatency(c.hear("")))
	}
	return worst(got)
}

// latency is how long changes took from the table to a client.
type latency struct{ median, most time.Duration } // most is the 99th percentile

func (l latency) String() string {
	return fmt.Sprintf("%v median, %v p99", l.median.Round(10*time.Microsecond), l.most.Round(10*time.Microsecond))
}

func parseLatency(line string) (l latency) {
	median, most, _ := strings.Cut(line, " ")
	l.median, _ = time.ParseDuration(median)
	l.most, _ = time.ParseDuration(most)
	return l
}

func worst(of []latency) (l latency) {
	for _, o := range of {
		l.median, l.most = max(l.median, o.median), max(l.most, o.most)
	}
	return l
}

// clients are a process of them.
type clients struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *bufio.Writer
	out *bufio.Scanner
}

func startClients(t *testing.T, network, address string, n int) *clients {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{t: t, cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), loadEnv+"="+fmt.Sprint(network, " ", n, " ", address), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = bufio.NewWriter(in), bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	return c
}

// ask sends a line.
func (c *clients) ask(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
	if err := c.in.Flush(); err != nil {
		c.t.Fatal(err)
	}
}

// hear gives the next line, which must be want unless that is empty.
func (c *clients) hear(want string) string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the clients have ended: %v", c.out.Err())
	}
	if line := c.out.Text(); want == "" || line == want {
		return line
	}
	c.t.Fatalf("the clients say %q, want %q", c.out.Text(), want)
	return ""
}

// digest sums a state up.
func digest(values map[string]string) uint64 {
	h := fnv.New64a()
	for i := range loadKeys {
		fmt.Fprintf(h, "%s;", values[fmt.Sprint("key", i)])
	}
	return h.Sum64()
}

// An observer is one client. It reads lines with as little work as can be, for there are many on few processors.
type observer struct {
	conn  net.Conn
	seq   atomic.Uint64
	mu    sync.Mutex // guards state and took
	state map[string]string
	took  []time.Duration
	timed *atomic.Bool
}

func (o *observer) run() {
	lines := bufio.NewReaderSize(o.conn, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			os.Exit(1)
		}
		now := time.Now().UnixNano()
		seq, rest, _ := bytes.Cut(line[len(`{"seq":`):], []byte(","))
		n, _ := strconv.ParseUint(string(seq), 10, 64)
		o.mu.Lock()
		if bytes.HasPrefix(rest, []byte(`"time"`)) {
			_, rest, _ = bytes.Cut(rest, []byte(`"key":"`))
			key, rest, _ := bytes.Cut(rest, []byte(`","value":`))
			value := rest[:bytes.IndexAny(rest, ",}")]
			o.state[string(key)] = string(value)
			if sent, err := strconv.ParseInt(string(value), 10, 64); err == nil && o.timed.Load() && len(o.took) < 1<<16 {
				o.took = append(o.took, time.Duration(now-sent))
			}
		} else if u, err := parseUpdate(line); err == nil {
			o.state = valuesOf(u.Snapshot.Values)
		}
		o.mu.Unlock()
		o.seq.Store(n)
	}
}

// runClients is the process of clients.
func runClients(spec string) {
	fields := strings.SplitN(spec, " ", 3)
	n, _ := strconv.Atoi(fields[1])
	var all []*observer
	var timed atomic.Bool
	for range n {
		conn, err := net.Dial(fields[0], fields[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		o := &observer{conn: conn, state: map[string]string{}, timed: &timed}
		all = append(all, o)
		go o.run()
	}
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		switch order, rest, _ := strings.Cut(orders.Text(), " "); order {
		case "ready":
			fmt.Println("ready")
		case "begin":
			for _, o := range all {
				o.mu.Lock()
				o.took = o.took[:0]
				o.mu.Unlock()
			}
			timed.Store(true)
		case "end":
			timed.Store(false)
			fmt.Println(percentiles(all))
		case "final":
			seq, sum, _ := strings.Cut(rest, " ")
			finish(all, seq, sum)
		}
	}
}

func percentiles(all []*observer) string {
	var took []time.Duration
	for _, o := range all {
		o.mu.Lock()
		took = append(took, o.took...)
		o.mu.Unlock()
	}
	if len(took) == 0 {
		return "0s 0s"
	}
	slices.Sort(took)
	return fmt.Sprint(took[len(took)/2], " ", took[len(took)*99/100])
}

// finish says when every client has the state after the change seq, which sums up to sum.
func finish(all []*observer, seq, sum string) {
	want, _ := strconv.ParseUint(seq, 10, 64)
	for _, o := range all {
		for o.seq.Load() < want {
			time.Sleep(time.Millisecond) // it is told by its own goroutine, which has better to do than to tell others
		}
		o.mu.Lock()
		got := fmt.Sprint(digest(o.state))
		o.mu.Unlock()
		if got != sum {
			fmt.Println("wrong: a client has another state at", seq)
			return
		}
	}
	fmt.Println("right")
}

func init() {
	asProcess = func() bool {
		spec := os.Getenv(loadEnv)
		if spec != "" {
			runClients(spec)
		}
		return spec != ""
	}
}
