//go:build unix

package tincan

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// waitReadable asks the kernel first and parks only where nothing is there: the
// runtime's poller is edge-triggered and tells of arrivals, not of what is waiting.
func waitReadable(c syscall.RawConn) error {
	var pollErr error
	err := c.Read(func(fd uintptr) bool {
		var ready bool
		ready, pollErr = pollReadable(fd)
		return pollErr != nil || ready
	})
	if err != nil {
		return err
	}
	return pollErr
}

// readable reports whether a read, or an accept, would not wait.
func readable(c syscall.RawConn) (ready bool, err error) {
	var pollErr error
	err = c.Control(func(fd uintptr) { ready, pollErr = pollReadable(fd) })
	if err != nil {
		return false, err
	}
	return ready, pollErr
}

// pollReadable asks with poll(2) and not with recv(MSG_PEEK), which would take a pending
// error such as ECONNRESET off the socket, so that the next read took a
// reset for an orderly end.
func pollReadable(fd uintptr) (ready bool, err error) {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return n > 0, err
		}
	}
}
