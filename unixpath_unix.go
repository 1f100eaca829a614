//go:build unix

package tincan

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxBacklog is clamped by the system to its own limit.
const maxBacklog = 1<<15 - 1

// listenUnix listens on e with a socket of sotype: SOCK_STREAM or SOCK_SEQPACKET.
func listenUnix(e *Endpoint, sotype int) (net.Listener, error) {
	backlog := e.Options.Backlog
	if backlog == 0 {
		backlog = maxBacklog
	}
	file, path, err := bindUnix(e, sotype, func(fd int) error {
		return os.NewSyscallError("listen", unix.Listen(fd, backlog))
	})
	if err != nil {
		return nil, err
	}
	defer file.Close() // the listener has a descriptor of its own
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, errors.Join(err, path.remove())
	}
	return &unixListener{ln.(*net.UnixListener), path, e.boundAddr()}, nil
}

// bindUnix gives a socket of sotype bound to e's path or abstract name, on
// which start, where it is not nil, has been called. The path has its mode
// before anyone can connect. A path that something else holds is [ErrInUse]; a dead
// socket's is taken over.
func bindUnix(e *Endpoint, sotype int, start func(fd int) error) (*os.File, unixPath, error) {
	if err := checkAbstract(e); err != nil {
		return nil, unixPath{}, err
	}
	fd, err := unixSocket(sotype)
	if err != nil {
		return nil, unixPath{}, err
	}
	file := os.NewFile(uintptr(fd), e.Path)
	path, err := bindSocket(fd, e, sotype, start)
	if err != nil {
		file.Close()
		return nil, unixPath{}, err
	}
	return file, path, nil
}

// unixSocket makes a socket that no child inherits.
func unixSocket(sotype int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(unix.AF_UNIX, sotype, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

func bindSocket(fd int, e *Endpoint, sotype int, start func(fd int) error) (unixPath, error) {
	if err := sizeBuffers(fd, &e.Options); err != nil {
		return unixPath{}, err
	}
	if strings.HasPrefix(e.Path, "@") {
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: e.Path}); err != nil {
			return unixPath{}, os.NewSyscallError("bind", err)
		}
		return unixPath{}, startSocket(fd, start)
	}
	mode := e.Options.Mode
	if mode == 0 {
		mode = 0o600
	}
	// The lock is held until the socket listens: before that it looks dead to another process.
	unlock, locked := lockDir(filepath.Dir(e.Path))
	defer unlock()
	err := bindPath(fd, sotype, e.Path, mode)
	if errors.Is(err, unix.EADDRINUSE) {
		if err := checkDead(e.Path, sotype); err != nil {
			return unixPath{}, err
		}
		if !locked {
			return unixPath{}, fmt.Errorf("%w: another process is about to take it over", ErrInUse)
		}
		if err := os.Remove(e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unixPath{}, fmt.Errorf("a dead socket can't be removed: %w", err)
		}
		err = bindPath(fd, sotype, e.Path, mode)
	}
	if err != nil {
		return unixPath{}, err
	}
	path, err := newUnixPath(e.Path)
	if err != nil {
		return unixPath{}, err
	}
	if err := startSocket(fd, start); err != nil {
		return unixPath{}, errors.Join(err, path.remove())
	}
	return path, nil
}

func startSocket(fd int, start func(fd int) error) error {
	if start == nil {
		return nil
	}
	return start(fd)
}

// checkDead gives nil where path is a socket that no process serves any more,
// else [ErrInUse] with what holds it.
func checkDead(path string, sotype int) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: it is a symbolic link, and is left alone", ErrInUse)
	case info.IsDir():
		return fmt.Errorf("%w: it is a directory", ErrInUse)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%w: it is a file that is no socket, and is left alone", ErrInUse)
	}
	fd, err := unixSocket(sotype)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetNonblock(fd, true); err != nil { // a full backlog must not hold us up
		return os.NewSyscallError("fcntl", err)
	}
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch {
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: a socket of another user holds it", ErrInUse)
	}
	// Connected, a full backlog (EAGAIN) or a server of another type (EPROTOTYPE): it lives.
	return fmt.Errorf("%w: a live server holds it", ErrInUse)
}

// lockDir keeps two processes from taking over one dead socket at once. It
// waits a second at most, as anyone who can read the directory can hold the
// lock; locked is false then.
func lockDir(dir string) (unlock func(), locked bool) {
	unlock = func() {}
	f, err := os.Open(dir)
	if err != nil {
		return unlock, false
	}
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, true
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			f.Close()
			return unlock, false
		}
	}
}

// unixPath is a path that a socket of ours is bound to; the zero value is none.
type unixPath struct {
	name string // absolute, so that a change of the working directory does no harm
	info fs.FileInfo
}

func newUnixPath(path string) (unixPath, error) {
	name, err := filepath.Abs(path)
	if err != nil {
		return unixPath{}, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return unixPath{}, err
	}
	return unixPath{name, info}, nil
}

// remove removes the path if it still leads to the socket that was bound. The
// socket must still be open.
func (p unixPath) remove() error {
	if p.info == nil {
		return nil
	}
	info, err := os.Lstat(p.name)
	if err != nil || !os.SameFile(info, p.info) {
		return nil // removed or replaced by someone else: theirs now
	}
	return os.Remove(p.name)
}
