package cli

import "golang.org/x/sys/windows"

// The system's error numbers that decide what is said or done.
const (
	errInUse        = windows.WSAEADDRINUSE
	errNotLocal     = windows.WSAEADDRNOTAVAIL
	errRefused      = windows.WSAECONNREFUSED
	errNotConnected = windows.WSAENOTCONN
	errBrokenPipe   = windows.ERROR_NO_DATA // of a standard stream
	errTooManyFiles = windows.WSAEMFILE
)
