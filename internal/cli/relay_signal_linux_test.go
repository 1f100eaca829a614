package cli

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRelaySecondSignal: it leaves no program behind, though that would rather go on.
func TestRelaySecondSignal(t *testing.T) {
	t.Parallel()
	alive := filepath.Join(t.TempDir(), "alive") // has an end once nobody of the program's group has it open
	if err := unix.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(alive, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	relay := server(t, "tincan", "relay", "--drain", "1m", "tcp://127.0.0.1:0", "exec", "--",
		"sh", "-c", `trap "" TERM INT; exec 3>"$0"; echo up; sleep 120`, alive)
	c := dialTCP(t, relay.url)
	if _, err := io.ReadFull(c, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	if err := relay.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until it has taken the first
		probe, err := net.Dial("tcp", strings.TrimPrefix(relay.url, "tcp://"))
		if err != nil {
			break
		}
		_ = probe.Close()
	}
	if err := relay.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := fifo.SetReadDeadline(time.Now().Add(testPatience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, fifo); err != nil {
		t.Errorf("the program outlives the relay: %v", err)
	}
}
