package tincan

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// recvmmsg and sendmmsg never wait: MSG_DONTWAIT. So they don't tell the scheduler, which would take the processor
// away from a call of more than 20 us, as one with many datagrams is, and start another thread in its
// place. Meanwhile nothing can stop the world, thus a call must be bounded: by its messages or by its bytes.

func recvmmsg(fd uintptr, headers []mmsghdr, flags uintptr) (n int, errno syscall.Errno) {
	return transferMessages(unix.SYS_RECVMMSG, fd, headers, flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
}

func sendmmsg(fd uintptr, headers []mmsghdr) (n int, errno syscall.Errno) {
	return transferMessages(unix.SYS_SENDMMSG, fd, headers, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func transferMessages(trap, fd uintptr, headers []mmsghdr, flags uintptr) (n int, errno syscall.Errno) {
	for {
		r, _, errno := syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&headers[0])), uintptr(len(headers)), flags, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
