package relay

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// awaitLeft waits until c's peer is known to have gone and to have left nothing: [syscall.ECONNRESET] or
// [ErrClientLeft]. It gives nil where c's family can't tell, and when a read deadline passes. It takes nothing from c.
func awaitLeft(c net.Conn) error {
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		return nil
	}
	var left error
	_ = raw.Read(func(fd uintptr) bool { // is called again with whatever comes
		left = hasLeft(int(fd))
		return left != nil
	})
	return left
}

// hasLeft asks poll(2). An error there is a reset. POLLHUP tells that both directions are over: a Unix socket has it
// when its peer is closed, but not when that has half-closed; what it sent before may still be read. The end of a TCP
// peer looks as its half-close, and such a client may wait for an answer.
func hasLeft(fd int) error {
	fds := []unix.PollFd{{Fd: int32(fd)}} // both are told unasked
	if _, err := unix.Poll(fds, 0); err != nil {
		return nil
	}
	switch events := fds[0].Revents; {
	case events&unix.POLLERR != 0:
		return syscall.ECONNRESET
	case events&unix.POLLHUP != 0:
		if n, err := unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil && n == 0 {
			return ErrClientLeft
		}
	}
	return nil
}
