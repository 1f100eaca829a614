package sysinfo

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// A child of a test is this program in a role: it says "ready" when it plays it, and ends with its standard input.
const (
	roleVariable = "SYSINFO_TEST_ROLE"
	roleBurns    = "burns"   // as much of a CPU as it gets
	roleSockets  = "sockets" // holds childSockets of them
	roleWaits    = "waits"
	childSockets = 30
)

// play plays a role, where it is one.
func play(role string) bool {
	switch role {
	case roleBurns:
		go func() {
			for n := uint64(1); n != 0; n += 2 { // odd for ever
			}
		}()
	case roleSockets:
		for range childSockets {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				panic(err)
			}
			defer ln.Close()
		}
	case roleWaits:
	default:
		return false
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return true
}

// child starts a program that plays role, under a name of its own.
func child(t *testing.T, role, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("a child that %s says %q: %v", role, line, err)
	}
	return cmd
}

// procFields reads /proc/PID/stat, from the state on: field 3 of proc_pid_stat(5) is the first.
func procFields(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

// procSeconds gives the CPU time of a process, as the kernel tells it: in ticks of a hundredth of a second.
func procSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	ticks := 0.0
	for _, text := range procFields(t, pid)[11:13] {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

func TestProcessCPU(t *testing.T) {
	burner, idler := child(t, roleBurns, "burner"), child(t, roleWaits, "idler")
	table := &state.Table{}
	r := (&Collector{PIDs: []int{burner.Process.Pid, idler.Process.Pid}}).newRun(time.Second)
	of := func() (seconds float64, at time.Time) { return procSeconds(t, burner.Process.Pid), time.Now() }
	before, begin := of()
	r.look(t.Context(), table)
	from, start := of()
	for now, at := from, start; now < from+0.4; now, at = of() { // however busy this host is with others
		time.Sleep(5 * time.Millisecond)
		if at.Sub(start) > testPatience {
			t.Fatal("a busy loop gets no CPU")
		}
	}
	to, stop := of()
	r.look(t.Context(), table)
	after, end := of()
	// What was told is of a time that is no shorter than the inner one and no longer than the outer one, give or take ticks.
	least, most := 100*(to-from-0.02)/end.Sub(begin).Seconds(), 100*(after-before+0.02)/stop.Sub(start).Seconds()
	burnt := number(t, table, fmt.Sprintf("proc.%d.cpu", burner.Process.Pid))
	if burnt < least-3 || burnt > most+3 {
		t.Errorf("the burner's CPU is %v %%, want %v to %v", burnt, least, most)
	}
	if idle := number(t, table, fmt.Sprintf("proc.%d.cpu", idler.Process.Pid)); idle > burnt/2 {
		t.Errorf("one that waits is busy by %v %%, one that burns by %v %%", idle, burnt)
	}
	number(t, table, "cpu.percent")
}

func TestProcessHoldings(t *testing.T) {
	p := child(t, roleSockets, "holder")
	table := &state.Table{}
	r := (&Collector{PIDs: []int{p.Process.Pid}}).newRun(time.Second)
	r.look(t.Context(), table)
	key := fmt.Sprintf("proc.%d.", p.Process.Pid)
	if name := word(t, table, key+"name"); name != "holder" {
		t.Errorf("it is called %q", name)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "descriptors", number(t, table, key+"descriptors"), float64(len(fds)), 0)
	near(t, "sockets", number(t, table, key+"sockets"), childSockets, 0)
	if threads := number(t, table, key+"threads"); threads < 2 {
		t.Errorf("%v threads of a program in Go", threads)
	}
	pages, err := strconv.ParseFloat(procFields(t, p.Process.Pid)[21], 64)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "memory", number(t, table, key+"memory"), pages*float64(os.Getpagesize()), 8*mib)
	started, err := time.Parse(time.RFC3339, word(t, table, key+"started"))
	if err != nil || time.Since(started) > testPatience+5*time.Second || time.Until(started) > 5*time.Second {
		t.Errorf("it started at %v: %v", started, err)
	}
}

// TestProcessEnds: the keys of one that has ended go, whether its parent has taken notice or not.
func TestProcessEnds(t *testing.T) {
	reaped, left, goesOn := child(t, roleWaits, "reaped"), child(t, roleWaits, "left"), child(t, roleWaits, "goes-on")
	table := &state.Table{}
	r := (&Collector{PIDs: []int{reaped.Process.Pid, left.Process.Pid, goesOn.Process.Pid}}).newRun(time.Second)
	r.look(t.Context(), table)
	of := func(c *exec.Cmd) []string { return keysWith(table, fmt.Sprintf("proc.%d.", c.Process.Pid)) }
	for _, c := range []*exec.Cmd{reaped, left, goesOn} {
		if len(of(c)) < 6 {
			t.Fatalf("keys are %v", of(c))
		}
	}
	for _, c := range []*exec.Cmd{reaped, left} {
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	_ = reaped.Wait()
	for deadline := time.Now().Add(testPatience); procFields(t, left.Process.Pid)[0] != "Z"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a child that was killed lives on")
		}
	}
	r.look(t.Context(), table)
	if got := append(of(reaped), of(left)...); len(got) > 0 {
		t.Errorf("left are %v", got)
	}
	if len(of(goesOn)) < 6 {
		t.Errorf("of the other %v", of(goesOn))
	}
}

// TestNames: processes are found by name when they begin, and not once they have ended.
func TestNames(t *testing.T) {
	const name = "sysinfo-named-after-a-long-one" // of which the kernel keeps 15 bytes
	first := child(t, roleWaits, name)
	child(t, roleWaits, "sysinfo-named")
	table := &state.Table{}
	r := (&Collector{Names: []string{name}}).newRun(time.Second)
	r.look(t.Context(), table)
	of := func(c *exec.Cmd) string {
		raw, _ := table.Get(fmt.Sprintf("proc.%d.name", c.Process.Pid))
		return string(raw)
	}
	if of(first) != strconv.Quote(name) {
		t.Errorf("the first is called %s", of(first))
	}
	for range newRounds + 1 {
		r.look(t.Context(), table)
	}
	second := child(t, roleWaits, name)
	r.look(t.Context(), table)
	if of(second) != strconv.Quote(name) {
		t.Errorf("the second is called %s", of(second))
	}
	if n := len(keysWith(table, "proc.")); n != len(keysWith(table, fmt.Sprintf("proc.%d.", first.Process.Pid)))+len(keysWith(table, fmt.Sprintf("proc.%d.", second.Process.Pid))) {
		t.Errorf("others are there: %v", keysWith(table, "proc."))
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	r.look(t.Context(), table)
	if of(first) != "" || of(second) == "" {
		t.Errorf("after the first has ended there are %v", keysWith(table, "proc."))
	}
}

// TestExec: a process that becomes another program is found by its name, however old it is.
func TestExec(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line; exec sleep 600")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	table := &state.Table{}
	r := (&Collector{Names: []string{"sleep"}}).newRun(time.Second)
	key := fmt.Sprintf("proc.%d.name", cmd.Process.Pid)
	for range newRounds + 1 {
		r.look(t.Context(), table)
		if _, ok := table.Get(key); ok {
			t.Fatal("it is found before")
		}
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(testPatience); ; {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid)); err == nil && string(comm) == "sleep\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sh doesn't exec")
		}
		time.Sleep(time.Millisecond)
	}
	for range nameRounds {
		r.look(t.Context(), table)
	}
	if _, ok := table.Get(key); !ok {
		t.Errorf("it is not found among %v", keysWith(table, "proc."))
	}
}

// TestTrue compares what is told of the host with what the kernel tells, before and after: others use this host too.
func TestTrue(t *testing.T) {
	table := &state.Table{}
	r := (&Collector{}).newRun(time.Second)
	inFile := func(file, field string, unit float64) func() float64 {
		return func() float64 { return unit * fieldAfter(t, file, field) }
	}
	onDisk := func(blocks func(*syscall.Statfs_t) uint64) func() float64 {
		return func() float64 {
			var root syscall.Statfs_t
			if err := syscall.Statfs("/", &root); err != nil {
				t.Fatal(err)
			}
			return float64(blocks(&root)) * float64(root.Bsize)
		}
	}
	rows := []struct {
		key    string
		kernel func() float64
		within float64
		before float64
	}{
		{key: "mem.total", kernel: inFile("/proc/meminfo", "MemTotal:", kib)},
		{key: "mem.available", kernel: inFile("/proc/meminfo", "MemAvailable:", kib), within: 1 << 29},
		{key: "swap.total", kernel: inFile("/proc/meminfo", "SwapTotal:", kib)},
		{key: "net.lo.received", kernel: inFile("/proc/net/dev", "lo:", 1), within: mib},
		{key: "cpu.load1", kernel: inFile("/proc/loadavg", "", 1), within: 0.5},
		{key: "disk./.total", kernel: onDisk(func(s *syscall.Statfs_t) uint64 { return s.Blocks })},
		{key: "disk./.free", kernel: onDisk(func(s *syscall.Statfs_t) uint64 { return s.Bavail }), within: 1 << 30},
	}
	for i := range rows {
		rows[i].before = rows[i].kernel()
	}
	r.look(t.Context(), table)
	for _, row := range rows {
		after := row.kernel()
		if got := number(t, table, row.key); got < min(row.before, after)-row.within || got > max(row.before, after)+row.within {
			t.Errorf("%s is %v, and the kernel says %v before and %v after", row.key, got, row.before, after)
		}
	}

	// What passes is counted.
	established, received := number(t, table, "tcp.established"), number(t, table, "net.lo.received")
	accepted := number(t, table, "tcp.accepted")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for range 10 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		go func() { _, _ = c.Write(make([]byte, 16<<10)) }()
		if _, err := io.ReadFull(s, make([]byte, 16<<10)); err != nil {
			t.Fatal(err)
		}
	}
	r.look(t.Context(), table)
	if now := number(t, table, "tcp.accepted"); now < accepted+10 {
		t.Errorf("10 connections were accepted, and %v were before, %v are after", accepted, now)
	}
	if now := number(t, table, "net.lo.received"); now < received+160<<10 {
		t.Errorf("160 KiB were received, and %v bytes were before, %v are after", received, now)
	}
	t.Logf("established: %v before, %v after", established, number(t, table, "tcp.established"))
}

// fieldAfter gives the number behind a word in a file.
func fieldAfter(t *testing.T, file, word string) float64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), word)
	if !ok {
		t.Fatalf("%s has no %s", file, word)
	}
	n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
