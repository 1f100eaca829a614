package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is one side of a contender.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	stderr tail
	done   chan struct{} // closed when it has ended
	err    error         // how; valid after done

	stopped sync.Once
}

// start runs c on one core. It ends with ctx at the latest, and with this process.
func (l *lab) start(ctx context.Context, c command, core int) (*process, error) {
	p := &process{name: strings.Join(append([]string{c.program}, c.args...), " "), done: make(chan struct{})}
	args := c.args
	if c.config != "" {
		l.serial++
		file := filepath.Join(l.dir, fmt.Sprintf("config%d", l.serial))
		if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
			return nil, err
		}
		args = append(slices.Clone(args), file)
	}
	p.cmd = exec.CommandContext(ctx, l.programs[c.program], args...)
	p.cmd.Env = append(os.Environ(), "TMPDIR="+l.dir) // what a process that is killed leaves there goes with the lab
	if c.program == goProgram {
		p.cmd.Env = append(p.cmd.Env, partyEnv+"=1", profileEnv+"="+l.profiles)
	}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second // a grandchild that holds the pipes holds up nobody
	prepare(p.cmd)
	p.cmd.Cancel = func() error { return kill(p.cmd.Process) }
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := startOn(p.cmd, core); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return p, nil
}

// serve lets a server run until stop.
func (p *process) serve() {
	go func() {
		_, _ = io.Copy(io.Discard, p.stdout)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
}

// stop ends a server: asks it, waits for a while, then kills it and all that it started. Once is enough.
func (p *process) stop() { p.stopped.Do(p.end) }

func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(2 * time.Second)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
	}
	_ = kill(p.cmd.Process) // its children outlive it otherwise
	<-p.done
}

// numbers runs a client to its end and gives the numbers that it printed, of which there is at least one.
func (p *process) numbers() ([]float64, error) {
	out, readErr := io.ReadAll(p.stdout)
	err := errors.Join(p.cmd.Wait(), readErr)
	if err != nil {
		return nil, p.failed(err)
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return nil, p.failed(errors.New("it printed no number"))
	}
	numbers := make([]float64, len(words))
	for i, word := range words {
		if numbers[i], err = strconv.ParseFloat(word, 64); err != nil {
			return nil, p.failed(err)
		}
	}
	return numbers, nil
}

// failed says what is wrong with p, with the end of what it said itself.
func (p *process) failed(err error) error {
	if said := p.stderr.String(); said != "" {
		return fmt.Errorf("%s: %w: %s", p.name, err, said)
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// alsoSaid adds what p said to err.
func (p *process) alsoSaid(err error) error {
	if said := p.stderr.String(); said != "" {
		return fmt.Errorf("%w; %s: %s", err, p.cmd.Args[0], said)
	}
	return err
}

// A tail keeps the end of what is written to it. Its methods may be called at once.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 400
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - most; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
