package pattern_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// idleSocket is the environment variable that makes this binary a socket with many peers, at the endpoint that it names.
const idleSocket = "TINCAN_TEST_IDLE_SOCKET"

// serveIdle says where it listens, answers requests until its standard input ends, and gives the exit status.
func serveIdle(endpoint string) int {
	s := pattern.NewServer(nil)
	defer s.Close()
	addr, err := s.Listen(context.Background(), endpoint)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(addr)
	go func() { _ = s.Serve(context.Background(), echo) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestIdlePeers holds 10,000 peers of one socket, each of which has had an answer, to their resident memory.
func TestIdlePeers(t *testing.T) {
	if testing.Short() || raceEnabled || runtime.GOOS != "linux" {
		t.Skip("memory is measured on Linux, without the race detector, and takes a while")
	}
	const peers, most = 10_000, 7 << 10
	for _, scheme := range []string{"unix", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			pid, addr := startIdle(t, endpoint(t, scheme))
			askAsPeer(t, addr)
			before := resident(t, pid)
			for range peers {
				askAsPeer(t, addr)
			}
			var each int
			ctx := within(t)
			for tick := time.Tick(50 * time.Millisecond); ; <-tick { // a peer that was quiet for a while gives up what it has no use for
				if each = (resident(t, pid) - before) / peers; each <= most || ctx.Err() != nil {
					break
				}
			}
			t.Logf("%d bytes for an idle peer", each)
			if each > most {
				t.Errorf("more than %d", most)
			}
		})
	}
}

// startIdle starts this binary as serveIdle.
func startIdle(t *testing.T, endpoint string) (pid int, addr *tincan.Endpoint) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), idleSocket+"="+endpoint)
	c.Stderr = os.Stderr
	in, inErr := c.StdinPipe()
	out, outErr := c.StdoutPipe()
	if err := errors.Join(inErr, outErr, c.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, err = tincan.ParseEndpoint(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, addr
}

// askAsPeer connects, has a request answered, and stays until the test ends.
func askAsPeer(t *testing.T, addr net.Addr) {
	t.Helper()
	c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Dealer})
	request := "\x01\x00\x00\x04ping"
	reply := make([]byte, len(request))
	_, err := io.WriteString(c, request)
	if err == nil {
		_, err = io.ReadFull(c, reply)
	}
	if err != nil || string(reply) != request {
		t.Fatalf("answered %q, %v", reply, err)
	}
}

// resident gives the memory of a process, in bytes. See proc(5).
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
