//go:build unix

package tincan

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// waitReadable asks the kernel first and parks only where nothing is there: the
// runtime's poller is edge-triggered and tells of arrivals, not of what is waiting.
// It asks with poll(2) and not with recv(MSG_PEEK), which would take a pending
// error such as ECONNRESET off the socket, so that the next read took a
// reset for an orderly end.
func waitReadable(c syscall.RawConn) error {
	var pollErr error
	err := c.Read(func(fd uintptr) bool {
		for {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(fds, 0)
			if err == unix.EINTR {
				continue
			}
			pollErr = err
			return err != nil || n > 0
		}
	})
	if err != nil {
		return err
	}
	return pollErr
}
