package tincan

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent gives how many bytes written to c its peer's system has not
// acknowledged (tcp(7), SIOCOUTQ). It is 0 where the peer has them at once, or can't be asked.
func unsent(c Conn) (n int) {
	s, ok := as[syscall.Conn](c, true)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		// With a Unix socket the same request tells what the peer has not read.
		if protocol, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.IPPROTO_TCP {
			n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		}
	})
	if err != nil {
		return 0
	}
	return n
}
