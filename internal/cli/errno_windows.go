package cli

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isNotConnected tells a half-close that came after the peer had ended the connection.
func isNotConnected(err error) bool { return errors.Is(err, windows.WSAENOTCONN) }

// isBrokenPipe tells a write to a peer that reads no more.
func isBrokenPipe(err error) bool {
	return errors.Is(err, windows.WSAESHUTDOWN) || errors.Is(err, windows.ERROR_NO_DATA) || errors.Is(err, windows.ERROR_BROKEN_PIPE)
}
