package tincan

import (
	"errors"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func peerCred(c syscall.RawConn) (cred Cred, err error) {
	err = control(c, func(fd int) error {
		// Any socket answers SO_PEERCRED, and an Internet one with ids that mean nothing.
		name, err := unix.Getsockname(fd)
		if err != nil {
			return os.NewSyscallError("getsockname", err)
		}
		if _, ok := name.(*unix.SockaddrUnix); !ok {
			return errors.ErrUnsupported
		}
		u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		if u.Uid == math.MaxUint32 { // a socket that nobody connected to
			return errors.ErrUnsupported
		}
		cred = Cred{UID: u.Uid, GID: u.Gid, PID: int(u.Pid)}
		return nil
	})
	return cred, err
}
