package cli

import (
	"errors"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// reservePort gives a TCP port of this host that nobody else is given until the test ends, for programs that can't be
// asked which one port 0 became. It is held by a socket that is bound and doesn't listen, with SO_REUSEADDR: who sets that
// too, as servers do, can still listen there (socket(7)).
func reservePort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(bound.(*unix.SockaddrInet4).Port)
}
