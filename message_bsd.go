//go:build unix && !linux

package tincan

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func wasCut(flags int, _ error) bool { return flags&unix.MSG_TRUNC != 0 }

func readError(err error) error { return err }

func isTooLong(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

// isFull reports a queue that is full where the system doesn't tell when there is room.
func isFull(err error) bool { return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) }

// sendUnix sends at once or fails: the standard library would wait for this socket, when it is the peer's queue that is full.
func sendUnix(s socket, to string, msg []byte) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	writeErr := raw.Write(func(fd uintptr) bool {
		for {
			err = unix.Sendto(int(fd), msg, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: to})
			if err != unix.EINTR {
				return true
			}
		}
	})
	if writeErr != nil {
		return writeErr
	}
	return os.NewSyscallError("sendto", err)
}
