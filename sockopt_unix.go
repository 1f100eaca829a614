//go:build unix

package tincan

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// setSocketOptions sets what must be set before a socket is bound or connected:
// a TCP window is scaled by the receive buffer of that time.
func setSocketOptions(c syscall.RawConn, o *Options) error {
	if o.RecvBuffer == 0 && o.SendBuffer == 0 {
		return nil
	}
	return control(c, func(fd int) error { return sizeBuffers(fd, o) })
}

func sizeBuffers(fd int, o *Options) error {
	var errs []error
	if o.RecvBuffer > 0 {
		errs = append(errs, setInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, int(o.RecvBuffer)))
	}
	if o.SendBuffer > 0 {
		errs = append(errs, setInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, int(o.SendBuffer)))
	}
	return errors.Join(errs...)
}

// setReusePort lets other sockets that do the same listen on the port as well.
func setReusePort(c syscall.RawConn, o *Options) error {
	if !o.ReusePort {
		return nil
	}
	return control(c, func(fd int) error { return setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
}

// setBacklog listens once more with a backlog of n; POSIX lets that adjust it.
func setBacklog(l syscall.Conn, n int) error {
	if n == 0 {
		return nil
	}
	c, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return control(c, func(fd int) error { return os.NewSyscallError("listen", unix.Listen(fd, n)) })
}

func setInt(fd, level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
}

// control runs f on the descriptor of c.
func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if ctlErr := c.Control(func(fd uintptr) { err = f(int(fd)) }); ctlErr != nil {
		return ctlErr
	}
	return err
}

// scarce reports an error of accept(2) that time may cure: a lack of
// descriptors or memory, or a connection that failed before it was accepted.
func scarce(err error) bool {
	for _, e := range []error{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM,
		unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENETUNREACH,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// familyMissing reports a host without IPv4 or IPv6, or without its loopback address.
func familyMissing(err error) bool {
	var addrErr *net.AddrError
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) || errors.As(err, &addrErr)
}
