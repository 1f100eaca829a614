package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// TestSignalServesWhoIsQueued: the kernel has accepted clients, who have sent, while the command could not: then comes its
// signal. The drain is longer than all of them ever take.
func TestSignalServesWhoIsQueued(t *testing.T) {
	const clients = 200
	t.Parallel()
	echo := server(t, "tincan", "serve", "echo", "unix://"+filepath.Join(t.TempDir(), "echo"))
	for name, args := range map[string][]string{
		"serve":       {"serve", "--drain", "1m", "echo", "tcp://127.0.0.1:0"},
		"serve joint": {"serve", "--drain", "1m", "echo", "tcp://localhost:0"},
		"serve unix":  {"serve", "--drain", "1m", "echo", "unix://" + filepath.Join(t.TempDir(), "s")},
		"relay":       {"relay", "--drain", "1m", "tcp://127.0.0.1:0", echo.url},
		"relay unix":  {"relay", "--drain", "1m", "unix://" + filepath.Join(t.TempDir(), "r"), echo.url},
		"metrics":     {"serve", "--drain", "1m", "--metrics", "tcp://127.0.0.1:0", "echo", "tcp://127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, "tincan", args...)
			stop(t, s)
			conns := make([]net.Conn, clients)
			for i := range conns {
				conns[i] = queueClient(t, s.url, fmt.Sprintf("client %d", i))
			}
			sendSignal(t, s, unix.SIGTERM)
			sendSignal(t, s, unix.SIGCONT)
			served, last := 0, error(nil)
			for i, c := range conns {
				got, err := io.ReadAll(c)
				if err == nil && string(got) == fmt.Sprintf("client %d", i) {
					served++
				} else {
					last = err
				}
			}
			if served != clients {
				t.Errorf("%d of %d were served, and one got %v", served, clients, last)
			}
		})
	}
}

// TestListenSignalHearsWhoIsQueued is the same for listen.
func TestListenSignalHearsWhoIsQueued(t *testing.T) {
	const clients = 200
	t.Parallel()
	heard := filepath.Join(t.TempDir(), "heard")
	s := server(t, "sh", "-c", `exec tincan listen --drain 1m --keep-open tcp://127.0.0.1:0 </dev/null >"$0"`, heard)
	stop(t, s)
	want := map[string]bool{}
	for i := range clients {
		line := fmt.Sprintf("client %d", i)
		want[line] = true
		queueClient(t, s.url, line+"\n")
	}
	sendSignal(t, s, unix.SIGTERM)
	sendSignal(t, s, unix.SIGCONT)
	poll(func() bool {
		text, err := os.ReadFile(heard)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			delete(want, strings.TrimSuffix(line, "\n"))
		}
		return len(want) == 0
	}, func() { t.Fatalf("%d of %d clients were not heard", len(want), clients) })
}

// stop suspends s, whose kernel goes on to accept clients.
func stop(t *testing.T, s *background) {
	t.Helper()
	sendSignal(t, s, unix.SIGSTOP)
	if err := unix.Waitid(unix.P_PID, s.Process.Pid, nil, unix.WSTOPPED, nil); err != nil {
		t.Fatal(err)
	}
}

func sendSignal(t *testing.T, s *background, sig unix.Signal) {
	t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// queueClient connects a client that sends text and ends its sending.
func queueClient(t *testing.T, url, text string) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	return c
}
