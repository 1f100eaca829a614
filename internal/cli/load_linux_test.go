package cli

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDroppedConnect: an address that drops what is sent to it, as a listener
// does whose queue is full.
func TestDroppedConnect(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	for full := false; !full; {
		c, err := net.DialTimeout("tcp", address, time.Second) // who is let in waits for nothing
		if full = err != nil; !full {
			defer c.Close()
		}
	}
	got := run(t, "", "connect", "--connect-timeout", "1s", "tcp://"+address)
	if got.code != 4 || !strings.Contains(got.stderr, "hint: ") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	if got.took < 900*time.Millisecond || got.took > 20*time.Second { // the system's own limit is two minutes
		t.Errorf("gave up after %v, want about 1 s", got.took)
	}
}

// echoes sends a byte through an echo server and waits for it.
func echoes(t *testing.T, address string) time.Duration {
	t.Helper()
	start := time.Now()
	c, err := net.DialTimeout("tcp", address, testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer reset(c)
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

// servedAtOnce wants one more client of an echo server to wait for none of those that are there. One try of several
// tells, for other programs may hold the processor.
func servedAtOnce(t *testing.T, address string) {
	t.Helper()
	var took time.Duration
	for range 5 {
		if took = echoes(t, address); took <= 100*time.Millisecond {
			return
		}
	}
	if took > time.Second && !raceDetector {
		t.Errorf("one more client waited %v", took)
	}
}

// TestScarceDescriptors: with 64 descriptors and 500 clients the server lives,
// rests, and serves again when they have gone.
func TestScarceDescriptors(t *testing.T) {
	echo := server(t, "sh", "-c", "ulimit -n 64; exec tincan serve echo tcp://127.0.0.1:0")
	clients := dialMany(t, echo.address(), 500)
	before := cpuTime(t, echo.Process.Pid)
	time.Sleep(time.Second) // in which it must not burn what is measured
	if used := cpuTime(t, echo.Process.Pid) - before; used > 300*time.Millisecond {
		t.Errorf("used %v of CPU in a second without descriptors", used)
	}
	for _, c := range clients {
		reset(c)
	}
	echoes(t, echo.address())
	if got := run(t, "still here\n", "connect", echo.url); got.code != 0 || got.stdout != "still here\n" {
		t.Errorf("exit %d, %q: %s", got.code, got.stdout, got.stderr)
	}
}

// TestIdleClients: 10,000 of them cost little and hold up nobody.
func TestIdleClients(t *testing.T) {
	clients := 10_000
	if testing.Short() || raceDetector {
		clients = 1000
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(clients)+200 {
		t.Fatalf("%d descriptors are not enough; raise ulimit -n", limit.Cur)
	}
	for _, verb := range [][]string{{"serve", "echo"}, {"listen", "--keep-open"}} {
		t.Run(verb[0], func(t *testing.T) {
			s := server(t, "tincan", append(verb, "tcp://127.0.0.1:0")...)
			dialMany(t, s.address(), 1)
			before := resident(t, s.Process.Pid)
			dialMany(t, s.address(), clients)
			if verb[0] == "serve" {
				servedAtOnce(t, s.address())
			}
			awaitDescriptors(t, s.Process.Pid, func(n int) bool { return n >= clients })
			each := (resident(t, s.Process.Pid) - before) / clients
			t.Logf("%d bytes for each client", each)
			if each > 32<<10 && !raceDetector {
				t.Errorf("an idle client costs %d bytes", each)
			}
		})
	}
}

// dialMany connects so many clients that stay until the test ends.
func dialMany(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	clients := make([]net.Conn, 0, n)
	t.Cleanup(func() {
		for _, c := range clients {
			reset(c)
		}
	})
	for range n {
		c, err := net.DialTimeout("tcp", address, testPatience)
		if err != nil {
			t.Fatalf("client %d: %v", len(clients), err)
		}
		clients = append(clients, c)
	}
	return clients
}

// TestSlowReader passes 256 MiB to a reader that is slow at first: every byte
// arrives, and neither side's memory grows by what waits.
func TestSlowReader(t *testing.T) {
	size := 256 << 20
	if testing.Short() || raceDetector {
		size = 32 << 20
	}
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), "tincan", "connect", echo.url)
	in, out := pipes(t, cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := sha256.New()
	writing := make(chan error, 1)
	go func() {
		block := make([]byte, 1<<20)
		var err error
		for i := 0; i < size && err == nil; i += len(block) {
			for j := 0; j < len(block); j += 512 {
				block[j] = byte(i>>20 + j>>9) // each block, and each part of it, is another
			}
			sent.Write(block)
			_, err = in.Write(block)
		}
		writing <- errors.Join(err, in.Close())
	}()
	received := sha256.New()
	slow := time.NewTicker(5 * time.Millisecond)
	defer slow.Stop()
	for range 100 {
		<-slow.C
		if _, err := io.CopyN(received, out, 64<<10); err != nil {
			t.Fatal(err, stderr.String())
		}
	}
	ends := map[string]int{"client": cmd.Process.Pid, "server": echo.Process.Pid}
	for name, pid := range ends {
		if rss := resident(t, pid); rss > 64<<20 {
			t.Errorf("the %s holds %d MiB while the reader is slow", name, rss>>20)
		}
	}
	if _, err := io.Copy(received, out); err != nil {
		t.Fatal(err)
	}
	if err := <-writing; err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Error("what came back is not what was sent")
	}
}

// TestSlowClientIsDropped: of two clients of listen --keep-open the one that
// takes nothing is dropped, and the other gets all of the input.
func TestSlowClientIsDropped(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	cmd := exec.CommandContext(t.Context(), "tincan", "listen", "--keep-open", "--json", "tcp://127.0.0.1:0?send-buffer=64KiB")
	in, _ := pipes(t, cmd)
	said, err := os.CreateTemp(t.TempDir(), "events")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	url := await(t, said.Name(), listeningLine)
	address := strings.TrimPrefix(url, "tcp://")
	// What comes while nobody else is there is for the first: then it is among those that the input is sent to.
	first := dialMany(t, address, 1)[0]
	if _, err := in.Write(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	dialMany(t, address, 1)
	await(t, said.Name(), bothAccepted)

	go func() {
		_, _ = in.Write(make([]byte, size))
		_ = in.Close()
	}()
	n, err := io.Copy(io.Discard, first)
	if err != nil || n != size {
		t.Errorf("the reading client got %d bytes of %d: %v", n, size, err)
	}
	await(t, said.Name(), closedTooSlow)
	if rss := resident(t, cmd.Process.Pid); rss > 64<<20 && !raceDetector {
		t.Errorf("the listener holds %d MiB", rss>>20)
	}
}

var bothAccepted = regexp.MustCompile(`(?s)"event":"accepted".*"event":"accepted"`)

var closedTooSlow = regexp.MustCompile(`"event":"closed".*(took nothing of the input)`)

// resident gives the resident memory of a process in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// cpuTime gives what a process has used of the processor, with a resolution of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime and stime, see proc_pid_stat(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
