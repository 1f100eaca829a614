//go:build unix

package local

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A Socket is what an inherited descriptor turned out to be: one of the two is set.
type Socket struct {
	Listener net.Listener
	Conn     net.Conn
}

// OpenFD takes over the descriptor of e: a socket, which if it listens is to
// be accepted from, or else a pipe, a file or a terminal.
func (e *End) OpenFD() (Socket, error) {
	flags, err := unix.FcntlInt(uintptr(e.FD), unix.F_GETFD, 0)
	if err != nil {
		return Socket{}, fmt.Errorf("%w: nothing was inherited there", os.NewSyscallError("fcntl", err))
	}
	if _, err := unix.FcntlInt(uintptr(e.FD), unix.F_SETFD, flags|unix.FD_CLOEXEC); err != nil {
		return Socket{}, os.NewSyscallError("fcntl", err)
	}
	return e.take(os.NewFile(uintptr(e.FD), e.word))
}

// take makes f what it is. f is closed where its descriptor was duplicated.
func (e *End) take(f *os.File) (Socket, error) {
	fd := int(fdOf(f))
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return Socket{Conn: e.takeFile(f)}, nil
	}
	defer f.Close()
	if kind != unix.SOCK_STREAM {
		return Socket{}, errors.New("it is a socket for messages, and only stream sockets can be taken over")
	}
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
		ln, err := net.FileListener(f)
		if err != nil {
			return Socket{}, err
		}
		return Socket{Listener: ln}, nil
	}
	c, err := net.FileConn(f)
	if err != nil {
		return Socket{}, err
	}
	return Socket{Conn: c}, nil
}

// takeFile uses f in the directions that it was opened for.
func (e *End) takeFile(f *os.File) net.Conn {
	flags, err := unix.FcntlInt(fdOf(f), unix.F_GETFL, 0)
	if err != nil {
		flags = unix.O_RDWR
	}
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		return oneWay(e, own(f), nil)
	case unix.O_WRONLY:
		return oneWay(e, nil, &shared{own(f), f})
	}
	return bothWays(e, own(f))
}

// fdOf gives f's descriptor. Unlike [os.File.Fd] it changes nothing about it.
func fdOf(f *os.File) (fd uintptr) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(n uintptr) { fd = n })
	}
	return fd
}
