package state

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// python is Debian's, which has libzmq's bindings.
const python = "/usr/bin/python3"

// subscriber is a stock SUB that prints what it gets.
const subscriber = `
import sys, zmq
sub = zmq.Context().socket(zmq.SUB)
sub.setsockopt(zmq.SUBSCRIBE, sys.argv[2].encode())
sub.connect(sys.argv[1])
while True:
    print(*(part.decode() for part in sub.recv_multipart()), flush=True)
`

// TestLateZeroMQSubscriber has a SUB of libzmq come late, see changes, and come back to another server by itself.
func TestLateZeroMQSubscriber(t *testing.T) {
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s has no zmq: %v", python, err)
		}
		t.Skipf("%s has no zmq: %v", python, err)
	}
	table := &Table{}
	mustSet(t, table, "cpu.load1", 0.5)
	mustSet(t, table, "door", "open")
	mustSet(t, table, "cpu.load5", 1)
	mustSet(t, table, "cpu.load1", 0.75)
	p, url := publish(t, table, "tcp://127.0.0.1:0")
	endpoint := strings.TrimPrefix(url, "pub+")

	cmd := exec.CommandContext(t.Context(), python, "-c", subscriber, endpoint, "cpu.")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	patient := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer patient.Stop()
	lines := bufio.NewScanner(out)
	want := func(key, value string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the subscriber has ended: %v", lines.Err())
		}
		gotKey, object, _ := strings.Cut(lines.Text(), " ")
		u, err := parseUpdate([]byte(object))
		if err != nil || gotKey != key || u.Change.Key != key || string(u.Change.Value) != value {
			t.Fatalf("it got %s, want %s = %s", lines.Text(), key, value)
		}
	}
	want("cpu.load5", "1")
	want("cpu.load1", "0.75")
	mustSet(t, table, "door", "closed")
	mustSet(t, table, "cpu.load5", 2)
	want("cpu.load5", "2")
	table.Delete("cpu.load5")
	want("cpu.load5", "")

	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	other := &Table{}
	mustSet(t, other, "cpu.load1", 3)
	publish(t, other, endpoint)
	want("cpu.load1", "3")
}
