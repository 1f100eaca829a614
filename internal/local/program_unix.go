//go:build unix

package local

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Signal sends sig to the program's process group, as long as the program itself runs.
func (c *Child) Signal(sig os.Signal) {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	select {
	case <-c.done: // the group's number may be another's by now
	default:
		_ = syscall.Kill(-c.cmd.Process.Pid, n)
	}
}

// Kill ends the program's process group at once.
func (c *Child) Kill() { c.Signal(syscall.SIGKILL) }

// Deaf reports whether nobody can read what is written to the program any more.
func (c *Child) Deaf() bool {
	if c.tty != nil {
		return true // asked when its output has ended, which a terminal's does with the last who has it open
	}
	f, ok := c.out.(*os.File)
	if !ok {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	fds := []unix.PollFd{{Events: unix.POLLOUT}}
	err = raw.Control(func(fd uintptr) {
		fds[0].Fd = int32(fd)
		_, _ = unix.Poll(fds, 0)
	})
	return err != nil || fds[0].Revents&unix.POLLERR != 0 // closed already, or no reader
}

// startTerminal gives the program a terminal for all three of its streams, as its controlling one.
func (c *Child) startTerminal(p *Program) error {
	ours, theirs, err := pty.Open()
	if err != nil {
		return err
	}
	defer theirs.Close()
	if ours, err = unblocked(ours); err != nil {
		return err
	}
	if p.Like != nil {
		_ = resize(ours, p.Like) // it may have no size
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, theirs
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		return errors.Join(err, ours.Close())
	}
	t := &terminal{file: wakeable(ours), tty: ours}
	c.tty = ours
	c.Conn = &Conn{addr: p, in: t, out: t, halfClose: t.end}
	return nil
}

// unblocked gives a file for what f stands for whose reads can be interrupted, which package pty's can't. It closes f.
func unblocked(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(fdOf(f), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Resize gives the program's terminal the size of another one.
func (c *Child) Resize(like *os.File) error { return resize(c.tty, like) }

func resize(tty, like *os.File) error {
	size, err := unix.IoctlGetWinsize(int(fdOf(like)), unix.TIOCGWINSZ)
	if err != nil {
		return os.NewSyscallError("ioctl", err)
	}
	return os.NewSyscallError("ioctl", unix.IoctlSetWinsize(int(fdOf(tty)), unix.TIOCSWINSZ, size))
}

// A terminal is our side of a pseudo-terminal.
type terminal struct {
	file
	tty  *os.File
	last byte // written
}

func (t *terminal) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	if n > 0 {
		t.last = p[n-1]
	}
	return n, err
}

// end types the character that stands for the end of input, as a user would:
// twice within a line, which the first only hands on. A program that reads
// single characters knows no such thing. See termios(3), VEOF.
func (t *terminal) end() error {
	var (
		settings *unix.Termios
		err      error
	)
	raw, rawErr := t.tty.SyscallConn()
	if rawErr != nil {
		return rawErr
	}
	if rawErr := raw.Control(func(fd uintptr) { settings, err = unix.IoctlGetTermios(int(fd), getTermios) }); rawErr != nil {
		return rawErr
	}
	if err != nil || settings.Lflag&unix.ICANON == 0 {
		return errors.ErrUnsupported
	}
	end := []byte{settings.Cc[unix.VEOF]}
	if t.last != 0 && t.last != '\n' {
		end = append(end, end[0])
	}
	_, err = t.file.Write(end)
	return err
}
