//go:build unix && !linux

package tincan

import (
	"errors"

	"golang.org/x/sys/unix"
)

func wasCut(flags int, err error) bool { return err == nil && flags&unix.MSG_TRUNC != 0 }

func readError(err error) error { return err }

func isTooLong(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

// isFull reports a queue that is full where the system doesn't tell when there is room.
func isFull(err error) bool { return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) }
