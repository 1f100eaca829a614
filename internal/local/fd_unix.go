//go:build unix

package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// OpenFD takes over the descriptor of e: a socket, which if it listens, or has no peer, is to
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
	return adopt(f, kind)
}

// adopt makes of f, a socket of kind, what package net has for it.
func adopt(f *os.File, kind int) (s Socket, err error) {
	fd := int(fdOf(f))
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
		ln, err := net.FileListener(f)
		if packets, ok := ln.(*net.UnixListener); ok && kind != unix.SOCK_STREAM {
			return Socket{Messages: packets}, nil
		}
		return Socket{Listener: ln}, err
	}
	if _, err := unix.Getpeername(fd); err != nil && kind == unix.SOCK_DGRAM {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return Socket{}, err
		}
		return Socket{Messages: c.(syscall.Conn)}, nil
	}
	c, err := net.FileConn(f)
	if err != nil || kind == unix.SOCK_STREAM {
		return Socket{Conn: c}, err
	}
	m, err := tincan.AdoptMessageConn(c)
	if err != nil {
		return Socket{}, errors.Join(err, c.Close())
	}
	return Socket{MessageConn: m}, nil
}

// Carries reports what passes over the sockets of e, before they are taken over. What is no socket carries bytes.
func (e *End) Carries() (streams, messages bool) {
	look := func(fd uintptr) {
		kind, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		if err == nil && kind != unix.SOCK_STREAM {
			messages = true
		} else {
			streams = true
		}
	}
	switch e.Scheme {
	case "fd":
		look(uintptr(e.FD))
	case "systemd":
		for _, f := range passed() {
			if f != nil && (e.Name == "" || f.Name() == e.Name) {
				look(fdOf(f))
			}
		}
	}
	return streams || !messages, messages
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
