//go:build !windows

package cli

import (
	"errors"
	"syscall"
)

// isNotConnected tells a half-close that came after the peer had ended the connection.
func isNotConnected(err error) bool { return errors.Is(err, syscall.ENOTCONN) }

// isBrokenPipe tells a write to a peer that reads no more.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
