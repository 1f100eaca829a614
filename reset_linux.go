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
		// With a Unix socket the same request tells what the peer has not read, and
		// that of a connection which is gone will never be acknowledged.
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.State != unix.BPF_TCP_CLOSE {
			n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		}
	})
	if err != nil {
		return 0
	}
	return n
}
