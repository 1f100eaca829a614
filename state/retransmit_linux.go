package state

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longestRetransmit bounds the wait between two attempts to deliver what a client's system did not take.
const longestRetransmit = time.Second

// soonAgain has the system try at least once a second to deliver to conn, where it is TCP. A client that doesn't read gets many
// small segments, which take more of its system's memory than the window lets the sender know of: those that find no room are
// dropped, and sent again after waits that double, up to two minutes. One that wakes after that would be late by as much.
// A system older than Linux 6.15 doesn't know the option and keeps to its own waits.
func soonAgain(conn net.Conn) {
	tcp, ok := socketOf(conn).(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_RTO_MAX_MS, int(longestRetransmit/time.Millisecond))
	})
}
