package examples_test

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A talk is with a program that runs.
type talk struct {
	*testing.T
	in    io.Writer
	lines chan string
}

// talking starts a program, until the test ends, which may write to either of its outputs.
func talking(t *testing.T, name string, args ...string) *talk {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(name), args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k := &talk{t, in, make(chan string)}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		w.Close()
		close(ended)
	}()
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case k.lines <- lines.Text():
			case <-ended:
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return k
}

// await reads lines until one matches, and gives its first group.
func (k *talk) await(re string) string {
	k.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line := <-k.lines:
			if m := regexp.MustCompile(re).FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case <-deadline:
			k.Fatalf("no line matches %s", re)
		}
	}
}

func (k *talk) say(text string) {
	k.Helper()
	if _, err := io.WriteString(k.in, text); err != nil {
		k.Fatal(err)
	}
}

// TestStateChange has a server notify clients, of which one comes late.
func TestStateChange(t *testing.T) {
	server := talking(t, "state-change/server", "unix:"+filepath.Join(t.TempDir(), "s"))
	url := server.await("^listening on (.*)$")
	var clients []*talk
	for range 3 {
		client := talking(t, "state-change/client", url)
		client.await("^0 keys$")
		clients = append(clients, client)
	}
	for _, value := range []string{"open", "closed"} {
		server.say("door " + value + "\n")
		for _, client := range clients {
			client.await(`^"door" is now "` + value + `"$`)
		}
	}
	talking(t, "state-change/client", url).await("^1 keys$")
}

func TestManagement(t *testing.T) {
	url, stop := start(t, "management/provider", "tcp://127.0.0.1:0")
	viewer := talking(t, "management/viewer", url, "process.")
	viewer.await(`^"process.pid" +\d+$`)
	viewer.await(`^"process.uptime" +[1-9]`)
	stop()
}

func TestStateUsage(t *testing.T) {
	for _, name := range []string{"management/provider", "management/viewer", "state-change/server", "state-change/client"} {
		expect(t, 2, "", "usage", name)
		if out, errs, code := run(t, name, "nowhere"); code != 1 || !strings.Contains(errs, "has no scheme") {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errs)
		}
	}
}
