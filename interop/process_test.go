//go:build linux

package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait in this package, not what lies between them: a server may live through many. It is met only
// when something is broken.
const limit = 60 * time.Second

// An output collects what a program writes, and lets a test wait for a part of it.
type output struct {
	mu      sync.Mutex // guards text and changed
	text    []byte
	changed chan struct{} // closed, and replaced, by every Write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) look() (text []byte, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text, o.changed // text is only ever appended to
}

func (o *output) String() string {
	text, _ := o.look()
	return string(text)
}

// A process is a program under test. It is ended with the test at the latest.
type process struct {
	t        *testing.T
	argv     []string
	cmd      *exec.Cmd
	stdin    io.WriteCloser // nil where the whole input was given at the start
	out, err *output
	done     chan struct{} // closed when the process and its outputs have ended
}

// start starts a program whose input the test gives by say and end.
func start(t *testing.T, argv ...string) *process {
	t.Helper()
	return launch(t, "", nil, argv)
}

// launch starts a program in dir. Its whole input is stdin, or with nil comes by say.
func launch(t *testing.T, dir string, stdin io.Reader, argv []string) *process {
	t.Helper()
	tool(t, argv[0])
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, argv: argv, out: newOutput(), err: newOutput(), done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = dir, stdin, p.out, p.err
	p.cmd.WaitDelay = limit / 4 // for what is still in the pipes: a grandchild that holds them holds up nobody for ever
	if stdin == nil {
		pipe, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.stdin = pipe
	}
	if err := p.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the status is read from ProcessState
	}()
	t.Cleanup(func() {
		cancel()
		<-p.done
		if t.Failed() {
			t.Logf("%s\nstderr: %s", p, p.err)
		}
	})
	return p
}

func (p *process) String() string { return strings.Join(p.argv, " ") }

// await waits until o holds what re matches, and returns its first group.
func (p *process) await(o *output, re *regexp.Regexp) string {
	p.t.Helper()
	timeout := time.After(limit)
	ended := false
	for {
		text, changed := o.look()
		if m := re.FindSubmatch(text); m != nil {
			return string(m[len(m)-1])
		}
		if ended {
			p.t.Fatalf("%s: ended without %q; stdout %q, stderr %q", p, re, brief(p.out.String()), p.err)
		}
		select {
		case <-changed:
		case <-p.done: // look once more: it may have written just before
			ended = true
		case <-timeout:
			p.t.Fatalf("%s: no %q in %v; stdout %q, stderr %q", p, re, limit, brief(p.out.String()), p.err)
		}
	}
}

// say writes text to the program's input.
func (p *process) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text); err != nil {
		p.t.Fatalf("%s: %v; stderr %q", p, err, p.err)
	}
}

// hear waits until the program's whole output is text.
func (p *process) hear(text string) {
	p.t.Helper()
	p.await(p.out, regexp.MustCompile("^"+regexp.QuoteMeta(text)))
	if got := p.out.String(); got != text {
		p.t.Fatalf("%s: stdout %q, want %q", p, brief(got), brief(text))
	}
}

// end ends the program's input.
func (p *process) end() {
	p.t.Helper()
	if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		p.t.Fatalf("%s: %v", p, err)
	}
}

// status waits for the program's end and returns its exit status; -1 is a signal.
func (p *process) status() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s: has not ended in %v; stdout %q, stderr %q", p, limit, brief(p.out.String()), p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// wantStatus waits for the program's end and wants this exit status.
func (p *process) wantStatus(want int) {
	p.t.Helper()
	if got := p.status(); got != want {
		p.t.Fatalf("%s: %v, want status %d; stderr %q", p, p.cmd.ProcessState, want, p.err)
	}
}

// terminate asks a program to end.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
}

// signal sends a signal, unless the program has ended.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("%s: %v", p, err)
	}
}

// kill ends a program at once, and waits until it is gone.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("%s: %v", p, err)
	}
	<-p.done
}

// run runs a program on this input to its end. It wants status 0, and returns the output.
func run(t *testing.T, stdin []byte, argv ...string) string {
	t.Helper()
	p := launch(t, "", bytes.NewReader(stdin), argv)
	p.wantStatus(0)
	return p.out.String()
}

// wantSame compares two texts that may be long.
func wantSame(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got %d bytes, %q; want %d bytes, %q", len(got), brief(got), len(want), brief(want))
	}
}

func brief(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
