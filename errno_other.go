//go:build !windows

package tincan

import "syscall"

// The system's error numbers of a peer that isn't there, or no longer.
var (
	refusedErrnos = []error{syscall.ECONNREFUSED}
	resetErrnos   = []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}
)
