package tincan

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// setSocketOptions sets what must be set before a socket is bound or connected:
// a TCP window is scaled by the receive buffer of that time.
func setSocketOptions(c syscall.RawConn, o *Options) error {
	if o.RecvBuffer == 0 && o.SendBuffer == 0 {
		return nil
	}
	var errs []error
	set := func(fd uintptr, option int, size Size) {
		if size > 0 {
			errs = append(errs, os.NewSyscallError("setsockopt", windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, option, int(size))))
		}
	}
	err := c.Control(func(fd uintptr) {
		set(fd, windows.SO_RCVBUF, o.RecvBuffer)
		set(fd, windows.SO_SNDBUF, o.SendBuffer)
	})
	return errors.Join(append(errs, err)...)
}

// setReusePort: Windows has no option with the meaning of SO_REUSEPORT.
func setReusePort(_ syscall.RawConn, o *Options) error {
	if o.ReusePort {
		return fmt.Errorf("reuse-port: %w on Windows", errors.ErrUnsupported)
	}
	return nil
}

// setBacklog: Windows fixes the backlog with the first call of listen.
func setBacklog(_ syscall.Conn, n int) error {
	if n != 0 {
		return fmt.Errorf("backlog: %w on Windows", errors.ErrUnsupported)
	}
	return nil
}

// scarce reports an error of accept that time may cure.
func scarce(err error) bool {
	return errors.Is(err, windows.WSAEMFILE) || errors.Is(err, windows.WSAENOBUFS) || errors.Is(err, windows.WSAECONNRESET)
}

// familyMissing reports a host without IPv4 or IPv6, or without its loopback address.
func familyMissing(err error) bool {
	var addrErr *net.AddrError
	return errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAEAFNOSUPPORT) || errors.As(err, &addrErr)
}
