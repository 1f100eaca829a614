//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package urgent

import (
	"errors"
	"syscall"
)

// On Windows SIOCATMARK is false while a mark is anywhere ahead, and so can't
// tell which byte is the marked one.

func send(syscall.RawConn, byte) error { return errors.ErrUnsupported }

func receiveInline(syscall.RawConn) error { return errors.ErrUnsupported }

func receive(syscall.RawConn, []byte) (int, bool, error) { return 0, false, errors.ErrUnsupported }

func pending(syscall.RawConn) (bool, error) { return false, errors.ErrUnsupported }
