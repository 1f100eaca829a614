//go:build darwin || freebsd

package tincan

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func peerCred(c syscall.RawConn) (cred Cred, err error) {
	err = control(c, func(fd int) error {
		// The numbers of this option mean another one, of IP, on an Internet socket.
		name, err := unix.Getsockname(fd)
		if err != nil {
			return os.NewSyscallError("getsockname", err)
		}
		if _, ok := name.(*unix.SockaddrUnix); !ok {
			return errors.ErrUnsupported
		}
		x, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.EINVAL) { // a datagram socket
			return errors.ErrUnsupported
		}
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		if x.Ngroups < 1 {
			return errors.ErrUnsupported
		}
		pid, err := peerPID(fd)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		cred = Cred{UID: x.Uid, GID: x.Groups[0], PID: pid} // the first group is the effective one
		return nil
	})
	return cred, err
}
