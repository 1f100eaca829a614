package local

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// A Program is what runs at one end of a relay.
type Program struct {
	// Argv is the program and its arguments, which no shell sees.
	Argv []string
	// Env is the whole environment.
	Env []string
	// PTY gives it a pseudo-terminal, else it has pipes and our standard error.
	PTY bool
	// Like is the terminal whose size that has from the start; nil gives it none.
	Like *os.File
}

// Network gives "exec", so that a Program is a [net.Addr].
func (p *Program) Network() string { return "exec" }

// String gives the program's name.
func (p *Program) String() string { return "exec:" + p.Argv[0] }

// A Child is a running program as a byte stream: its standard input and
// output. It leads a process group of its own. Closing the stream doesn't end
// the program, but as its input and output end; see Signal and Done.
type Child struct {
	*Conn
	cmd  *exec.Cmd
	tty  *os.File //lint:ignore U1000 our side of the terminal, nil with pipes and where there are none
	done chan struct{}
}

var _ net.Conn = (*Child)(nil)

// Start runs the program. The error says what kept it from running.
func (p *Program) Start() (*Child, error) {
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	cmd.Env = p.Env
	c := &Child{cmd: cmd, done: make(chan struct{})}
	start := c.startPipes
	if p.PTY {
		start = c.startTerminal
	}
	if err := start(p); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // the state tells
	}()
	return c, nil
}

func (c *Child) startPipes(p *Program) error {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer inRead.Close()
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(err, inWrite.Close())
	}
	defer outWrite.Close()
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inRead, outWrite, os.Stderr
	ownGroup(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return errors.Join(err, inWrite.Close(), outRead.Close())
	}
	c.Conn = oneWay(p, wakeable(outRead), wakeable(inWrite))
	return nil
}

// Done gives a channel that is closed when the program has ended, and been waited for.
func (c *Child) Done() <-chan struct{} { return c.done }

// Status is the program's exit status as a shell has it: 128 and the number of
// the signal that ended it. It must be Done.
func (c *Child) Status() int {
	s := c.cmd.ProcessState
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
