package tincan

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// The system's error numbers for what has names of POSIX elsewhere. The
// constants of package syscall with those names are made up on Windows; what is
// in process (mem) uses them all the same.
var (
	refusedErrnos = []error{windows.WSAECONNREFUSED, syscall.ECONNREFUSED}
	resetErrnos   = []error{
		windows.WSAECONNRESET, windows.WSAECONNABORTED, windows.WSAESHUTDOWN, windows.ERROR_BROKEN_PIPE,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
	}
)
