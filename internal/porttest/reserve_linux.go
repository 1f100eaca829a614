// Package porttest finds TCP ports for programs that a test starts and can't ask which one port 0 became.
package porttest

import (
	"syscall"
	"testing"
)

// Reserve gives a TCP port of 127.0.0.1 that nobody else is given until the test ends, also while who listens there is down.
// It is held by a socket that is bound and doesn't listen, with SO_REUSEADDR: who sets that too, as servers do, can still
// listen there (socket(7)).
func Reserve(t testing.TB) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return bound.(*syscall.SockaddrInet4).Port
}
