package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// A terminal is a real one, of tmux, on a socket of its own.
type terminal struct {
	*testing.T
	dir string
}

// newTerminal opens a terminal of 80 by 24 with a shell that reads commands from it.
func newTerminal(t *testing.T) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		missing(t, err)
	}
	dir, err := os.MkdirTemp("", "tc") // the path of tmux's socket must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t, dir}
	t.Cleanup(func() {
		_ = s.command("kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	s.tmux("new-session", "-d", "-x", "80", "-y", "24", "PS1='$ ' sh")
	s.await(`(?m)^\$$`)
	return s
}

func (s *terminal) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-u", "-S", filepath.Join(s.dir, "s"), "-f", "/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	return cmd
}

func (s *terminal) tmux(args ...string) string {
	s.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// enter types a command.
func (s *terminal) enter(command string) { s.tmux("send-keys", command, "Enter") }

// await waits until what the terminal shows matches.
func (s *terminal) await(re string) string {
	s.Helper()
	want := regexp.MustCompile(re)
	for deadline := time.Now().Add(testPatience); ; time.Sleep(10 * time.Millisecond) {
		shown := s.tmux("capture-pane", "-p")
		if want.MatchString(shown) {
			return shown
		}
		if time.Now().After(deadline) {
			s.Fatalf("waited in vain for %s in\n%s", re, shown)
		}
	}
}

// TestWatchTerminal shows a state in a real terminal: its changes, in terminals of other sizes, filtered, across a
// restart of the server.
func TestWatchTerminal(t *testing.T) {
	t.Parallel()
	s := newTerminal(t)
	endpoint := "unix://" + filepath.Join(s.dir, "state")
	s.enter("tincan watch --backoff 10ms " + endpoint)
	s.await(`● no connection, retrying +unix:`)
	table := &state.Table{}
	set(t, table, "door", "open")
	set(t, table, "evil", "\x1b]0;pwned\a\u009b2J\u202e")
	for i := range 40 {
		set(t, table, fmt.Sprintf("key.%02d", i), i)
	}
	_, stop := published(t, table, endpoint)
	s.await(`(?m)^ door .* open +–$(?s).*● live .* keys 1–21 of 42`)
	s.await(`(?m)^ evil +"\\u001b\]0;pwned\\u0007\\u009b2J\\u202e"`)
	if title := s.tmux("display", "-p", "#{pane_title}"); strings.Contains(title, "pwned") {
		t.Errorf("a value has set the title to %q", title)
	}

	before := time.Now()
	set(t, table, "door", "closed")
	s.await(`(?m)^ door .* closed +\d+s$`)
	if took := time.Since(before); took > 10*time.Second { // most of it is tmux's; TestFeed has the time that is ours
		t.Errorf("a change is shown after %v", took)
	}
	s.tmux("send-keys", "End")
	s.await(`(?m)^ key.39 +39 (?s).*keys 22–42 of 42`)
	s.tmux("send-keys", "k", "e", "y", ".", "1")
	s.await(`(?m)\A KEY .*\n key.10 .*\n(?s).*/key.1.* 10 of 42`)

	s.tmux("resize-window", "-x", "40", "-y", "8")
	s.await(`(?m)\A KEY +VALUE +AGE *\n( key.1[0-4] +1[0-4] +– *\n){5}─{40}\n ● live`)
	s.tmux("resize-window", "-x", "100", "-y", "30")
	s.await(`(?m)\A KEY +VALUE +AGE +LAST 25s *\n( key.1\d .*\n){10}`)
	s.tmux("send-keys", "Escape")
	s.await(`42 keys|of 42`)

	stop()
	s.await(`● lost, retrying`)
	set(t, table, "door", "ajar")
	published(t, table, endpoint)
	s.await(`(?m)^ door .* ajar +\d+s$(?s).*● live`)
	s.tmux("send-keys", "q")
	s.await(`(?m)^\$$`)
}

// TestWatchLeavesTerminal: however the table ends, the terminal is what it was.
func TestWatchLeavesTerminal(t *testing.T) {
	t.Parallel()
	table := &state.Table{}
	set(t, table, "door", "open")
	url, _ := published(t, table, "tcp://127.0.0.1:0")
	s := newTerminal(t)
	s.enter("cd " + s.dir + "; stty -g >before")
	for name, end := range map[string]struct {
		keys []string
		code int
	}{
		"q": {[]string{"q"}, 0}, "Esc": {[]string{"Escape"}, 0}, "Ctrl-C": {[]string{"C-c"}, 0}, "SIGTERM": {nil, 143},
		"--timeout": {nil, 4},
	} {
		flags := ""
		if name == "--timeout" {
			flags = "--timeout 5s " // in which what it shows is looked at
		}
		s.enter("clear; echo what was there; sh -c 'echo $$ >pid; exec tincan watch " + flags + url + "'; echo status $?; stty -g >after; echo done")
		s.await(`● live`)
		if shown := s.tmux("display", "-p", "#{alternate_on} #{cursor_flag}"); shown != "1 0\n" {
			t.Errorf("the table has the alternate screen and the cursor %s", shown)
		}
		switch {
		case end.keys != nil:
			s.tmux(append([]string{"send-keys"}, end.keys...)...)
		case end.code == 143:
			if out, err := exec.Command("sh", "-c", "kill -TERM $(cat "+s.dir+"/pid)").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		s.await(fmt.Sprintf(`(?m)^what was there\n(?:.*\n)*status %d\ndone\n\$$`, end.code))
		if shown := s.tmux("display", "-p", "#{alternate_on} #{cursor_flag}"); shown != "0 1\n" {
			t.Errorf("%s leaves the alternate screen and the cursor %s", name, shown)
		}
		before, err := os.ReadFile(filepath.Join(s.dir, "before"))
		if err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(filepath.Join(s.dir, "after")); err != nil || string(after) != string(before) {
			t.Errorf("%s: the terminal is %s, was %s: %v", name, after, before, err)
		}
	}
}

// TestWatchNoColour: NO_COLOR leaves weights alone.
func TestWatchNoColour(t *testing.T) {
	t.Parallel()
	table := &state.Table{}
	set(t, table, "door", 1)
	url, _ := published(t, table, "tcp://127.0.0.1:0")
	for value, colours := range map[string]bool{"": true, "yes": false} {
		s := newTerminal(t)
		s.enter("NO_COLOR=" + value + " tincan watch " + url)
		s.await(`● live`)
		if frame := s.tmux("capture-pane", "-pe"); strings.Contains(frame, "38;5;") != colours {
			t.Errorf("NO_COLOR=%s: %q", value, frame)
		}
		s.tmux("send-keys", "q")
		s.await(`(?m)^\$$`)
	}
}
