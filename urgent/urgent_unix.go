//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package urgent

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func send(c syscall.RawConn, b byte) error {
	var sendErr error
	err := c.Write(func(fd uintptr) bool {
		_, sendErr = retry(func() (int, error) { return unix.SendmsgN(int(fd), []byte{b}, nil, nil, unix.MSG_OOB) })
		return !errors.Is(sendErr, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("sendmsg", sendErr)
}

func receiveInline(c syscall.RawConn) error {
	var optErr error
	if err := c.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", optErr)
}

// receive reads up to the mark, or the byte at the mark. The kernel ends a read
// before the mark (tcp(7), sockatmark(3)), so what remains is to tell whether the
// next byte is the marked one. That must not be asked while the queue is
// empty: the mark could arrive between the question and the read. So look first whether a byte is there.
func receive(c syscall.RawConn, p []byte) (n int, urgent bool, err error) {
	var callErr error
	err = c.Read(func(fd uintptr) bool {
		n, urgent, callErr = receiveNow(int(fd), p)
		return !errors.Is(callErr, unix.EAGAIN)
	})
	if err != nil {
		return 0, false, err
	}
	return n, urgent, os.NewSyscallError("recv", callErr)
}

func receiveNow(fd int, p []byte) (n int, urgent bool, err error) {
	n, err = retry(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, p[:1], unix.MSG_PEEK)
		return n, err
	})
	if n <= 0 || err != nil {
		return 0, false, err
	}
	mark, err := unix.IoctlGetInt(fd, unix.SIOCATMARK)
	if err != nil {
		return 0, false, err
	}
	if mark != 0 {
		p = p[:1]
	}
	n, err = retry(func() (int, error) { return unix.Read(fd, p) })
	return max(n, 0), mark != 0, err
}

func pending(c syscall.RawConn) (there bool, err error) {
	var pollErr error
	err = c.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
		_, pollErr = retry(func() (int, error) { return unix.Poll(fds, 0) })
		there = fds[0].Revents&unix.POLLPRI != 0
	})
	if err != nil {
		return false, err
	}
	return there, os.NewSyscallError("poll", pollErr)
}

// retry calls f again when a signal interrupted it.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
