//go:build unix

package local

import (
	"os"
	"syscall"

	"golang.org/x/term"
)

// openTerminal opens path where that is a terminal, such as a serial port. It
// doesn't become the process's controlling one, and a modem's missing carrier doesn't hold it up.
func openTerminal(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		return nil, syscall.ENOTTY
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var is bool
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	}
	if !is {
		_ = f.Close()
		return nil, syscall.ENOTTY
	}
	return f, nil
}
