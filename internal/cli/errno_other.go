//go:build !windows

package cli

import "syscall"

// The system's error numbers that decide what is said or done. Package
// syscall has them under these names on every system, but makes them up on Windows.
const (
	errInUse        = syscall.EADDRINUSE
	errNotLocal     = syscall.EADDRNOTAVAIL
	errRefused      = syscall.ECONNREFUSED
	errNotConnected = syscall.ENOTCONN
	errBrokenPipe   = syscall.EPIPE
	errTooManyFiles = syscall.EMFILE
)
