package tincan

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// listenUnix listens on e. Windows has stream sockets alone, and the
// directory's access rules in place of a mode.
func listenUnix(e *Endpoint, _ int) (net.Listener, error) {
	if err := checkAbstract(e); err != nil {
		return nil, err
	}
	if e.Options.Mode != 0 || e.Options.Backlog != 0 || len(e.Options.AllowUID) > 0 || len(e.Options.AllowGID) > 0 {
		return nil, fmt.Errorf("mode, backlog, allow-uid and allow-gid: %w on Windows", errors.ErrUnsupported)
	}
	ln, err := net.Listen("unix", e.Path)
	if errors.Is(err, windows.WSAEADDRINUSE) {
		if err := checkDead(e.Path); err != nil {
			return nil, err
		}
		if err := os.Remove(e.Path); err != nil {
			return nil, fmt.Errorf("a dead socket can't be removed: %w", err)
		}
		ln, err = net.Listen("unix", e.Path)
	}
	if err != nil {
		return nil, err
	}
	ul := ln.(*net.UnixListener)
	ul.SetUnlinkOnClose(true)
	return &unixListener{ul, unixPath{}, e.boundAddr()}, nil
}

// checkDead gives nil where path is a socket that no process serves any more.
func checkDead(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case info.Mode()&(fs.ModeSocket|fs.ModeIrregular) == 0: // Windows shows a socket as a reparse point
		return fmt.Errorf("%w: it is a file that is no socket, and is left alone", ErrInUse)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
	}
	if errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return fmt.Errorf("%w: a live server holds it", ErrInUse)
}

// unixPath: the standard library removes the path on Windows.
type unixPath struct{}

func (unixPath) remove() error { return nil }
