package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// published serves a state at an endpoint until the test ends, and gives its URL.
func published(t *testing.T, table *state.Table, endpoint string) (url string, stop func()) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &service.Server{Drain: -1}
	go func() { done <- s.Serve(ctx, l, (&state.Server{Table: table}).ServeStream) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			_ = <-done // it tells of what was cut short
		}
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func set(t *testing.T, table *state.Table, key string, value any) {
	t.Helper()
	if err := table.Set(key, value); err != nil {
		t.Fatal(err)
	}
}

func TestWatchOnce(t *testing.T) {
	t.Parallel()
	hostile := peer(t, func(c *net.TCPConn) error {
		_, err := io.WriteString(c, `{"seq":3,"snapshot":{"door":"open","evil\u001b[2J":"\u001b]0;x\u0007","cpu.0":12.5}}`+"\n")
		return err
	})
	got := run(t, "", "watch", "--once", hostile)
	if want := "cpu.0=12.5\ndoor=open\nevil\\x1b[2J=\"\\u001b]0;x\\u0007\"\n"; got.code != 0 || got.stdout != want || got.stderr != "" {
		t.Errorf("exit %d, %q, %q", got.code, got.stdout, got.stderr)
	}
	table := &state.Table{}
	set(t, table, "door", "open")
	set(t, table, "lamp", "on")
	set(t, table, "cpu.0", 12.5)
	url, _ := published(t, table, "tcp://127.0.0.1:0")
	got = run(t, "", "watch", "--once", "--json", "--keys", "cpu.", "--keys", "door", url)
	if want := `{"seq":3,"snapshot":{"cpu.0":12.5,"door":"open"}}` + "\n"; got.code != 0 || got.stdout != want || got.stderr != "" {
		t.Errorf("exit %d, %q, %q", got.code, got.stdout, got.stderr)
	}
}

// TestWatchExit: each failure has its exit code, and a clear line.
func TestWatchExit(t *testing.T) {
	t.Parallel()
	silent := func() string {
		return peer(t, func(c *net.TCPConn) error {
			_, _ = io.Copy(io.Discard, c)
			return nil
		})
	}
	says := func(text string) string { // and closes
		return peer(t, func(c *net.TCPConn) error {
			_, err := io.WriteString(c, text)
			return err
		})
	}
	const snapshot = `{"seq":1,"snapshot":{}}` + "\n"
	for _, test := range []struct {
		args string
		code int
	}{
		{"--once unix:nobody.sock", 3},
		{"--retry=false unix:nobody.sock", 3},
		{"--timeout 300ms unix:nobody.sock", 4},
		{"--once --retry --timeout 300ms unix:nobody.sock", 4},
		{"--once --connect-timeout 300ms " + silent(), 4},
		{"--once --timeout 300ms " + silent(), 4},
		{"--once " + says(""), 5},
		{"--retry=false " + says(snapshot), 5},
		{"--once " + says("hello\n"), 1},
		{"--once " + says("{\"error\":\"no\\u001b[2J\"}\n"), 1},
		{"--once udp://127.0.0.1:1", 2},
		{"--once nowhere", 2},
		{"--once mem:x", 2},
		{"--once --count 1 unix:nobody.sock", 2},
		{"--count 0 unix:nobody.sock", 2},
		{"", 2},
	} {
		got := run(t, "", append([]string{"watch"}, strings.Fields(test.args)...)...)
		if got.code != test.code || (got.code == 0) != (got.stderr == "") || strings.Contains(got.stderr, "\x1b") {
			t.Errorf("%s: exit %d, want %d; %q, %q", test.args, got.code, test.code, got.stdout, got.stderr)
		}
	}
}

// TestWatchLines follows a state across a restart of its server: changes have their time, and what the
// new server has otherwise is told too.
func TestWatchLines(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"", "--json"} {
		dir := t.TempDir()
		endpoint := "unix://" + filepath.Join(dir, "s")
		before := &state.Table{}
		set(t, before, "a", 1)
		set(t, before, "door", "open")
		_, stop := published(t, before, endpoint)
		out := filepath.Join(dir, "out")
		w := watchInto(t, out, append(strings.Fields(flag), "--backoff", "10ms", "--timeout", "60s", endpoint)...)
		plain := flag == ""
		want := func(lines, json string) {
			t.Helper()
			if plain {
				await(t, out, regexp.MustCompile(lines))
			} else {
				await(t, out, regexp.MustCompile(json))
			}
		}
		const at = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
		want(`^a=1\ndoor=open\n$`, `^{"seq":2,"snapshot":{"a":1,"door":"open"}}\n$`)
		set(t, before, "door", []int{1, 2})
		before.Delete("a")
		want(`\n`+at+` door=\[1,2\]\n`+at+` a deleted\n$`,
			`\n{"seq":3,"time":"`+at+`","key":"door","value":\[1,2\]}\n{"seq":4,"time":"`+at+`","key":"a","deleted":true}\n$`)
		stop()
		after := &state.Table{}
		set(t, after, "lamp", true)
		published(t, after, endpoint)
		want(`deleted\n`+at+` door deleted\n`+at+` lamp=true\n$`, `true}\n{"seq":1,"snapshot":{"lamp":true}}\n$`)
		if err := w.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = w.Wait()
		if code := exitStatus(w.ProcessState); code != 130 {
			t.Errorf("exit %d, want 130", code)
		}
	}
}

func TestWatchCount(t *testing.T) {
	t.Parallel()
	table := &state.Table{}
	url, _ := published(t, table, "tcp://127.0.0.1:0")
	out := filepath.Join(t.TempDir(), "out")
	w := watchInto(t, out, "--json", "--count", "2", url)
	await(t, out, regexp.MustCompile("snapshot.*\n"))
	for i := range 2 {
		set(t, table, "a", i)
		await(t, out, regexp.MustCompile(`"value":`+strconv.Itoa(i)+"}\n$"))
	}
	if err := w.Wait(); err != nil {
		t.Error(err)
	}
}

// watchInto starts watch with its output in a file, until the test ends.
func watchInto(t *testing.T, file string, args ...string) *exec.Cmd {
	t.Helper()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("tincan", append([]string{"watch"}, args...)...)
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// A script is a follower that gives updates when the test says so.
type script chan state.Update

func (s script) Next(ctx context.Context) (state.Update, error) {
	select {
	case u, ok := <-s:
		if !ok {
			return u, io.ErrUnexpectedEOF
		}
		return u, nil
	case <-ctx.Done():
		return state.Update{}, ctx.Err()
	}
}

// TestFeed: what comes within a frame is told at once, in order, and the loss of the connection after it.
func TestFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		updates, links := make(script), make(chan watchLink, 1)
		told := make(chan tea.Msg, 100)
		done := make(chan error)
		go func() { done <- feed(t.Context(), updates, links, func(msg tea.Msg) { told <- msg }) }()
		begin := time.Now()
		updates <- state.Update{Snapshot: &state.Snapshot{}}
		for seq := range uint64(1000) {
			updates <- state.Update{Change: &state.Change{Seq: seq, Key: "k", Value: json.RawMessage("1")}}
		}
		batch := (<-told).(watchUpdates)
		if len(batch.updates) != 1001 || batch.updates[1000].Change.Seq != 999 || batch.now.Sub(begin) != frameTime {
			t.Errorf("%d updates after %v", len(batch.updates), batch.now.Sub(begin))
		}
		links <- watchLink{err: io.EOF}
		if link := (<-told).(watchLink); link.err != io.EOF {
			t.Errorf("got %v", link.err)
		}
		close(updates)
		if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}
