package cli

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// exitCode is the one place where an error becomes an exit status.
func exitCode(err error) int {
	var (
		signalled interruptError
		local     *localError
		program   *programError
	)
	switch {
	case errors.As(err, &program):
		return program.status
	case errors.As(err, &signalled):
		return 128 + signalled.number()
	case errors.As(err, &local) && errors.Is(err, errBrokenPipe):
		return 128 + int(syscall.SIGPIPE) // as the signal would have had it
	}
	switch kindOf(err) {
	case tincan.KindNone:
		return 0
	case tincan.KindUsage:
		return 2
	case tincan.KindConnect:
		return 3
	case tincan.KindTimeout:
		return 4
	case tincan.KindReset:
		return 5
	case tincan.KindDenied:
		return 6
	case tincan.KindBind:
		return 7
	}
	return 1
}

// kindOf is [tincan.KindOf] for the errors of this package too.
func kindOf(err error) tincan.ErrorKind {
	var (
		usage  *usageError
		local  *localError
		denied *deniedError
	)
	switch {
	case errors.As(err, &usage):
		return tincan.KindUsage
	case errors.As(err, &denied):
		return tincan.KindDenied
	case errors.Is(err, pattern.ErrPeerLost):
		return tincan.KindReset
	case errors.As(err, &local):
		return tincan.KindOther
	}
	return tincan.KindOf(err)
}

// quiet reports whether err ends the command with nothing to be said: the
// user interrupted it, the reader of its output has gone, or a program that it ran failed, which tells why itself.
func quiet(err error) bool {
	var (
		signalled interruptError
		local     *localError
		program   *programError
	)
	return errors.As(err, &signalled) || errors.As(err, &program) || errors.As(err, &local) && errors.Is(err, errBrokenPipe)
}

// A usageError is a command line that can't be done whatever the world is like.
type usageError struct{ problem, remedy string }

func (e *usageError) Error() string { return e.problem }
func (e *usageError) Hint() string  { return e.remedy }

// A hintedError is an error for which what to try is known where it comes about.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }
func (e *hintedError) Hint() string  { return e.hint }

// A localError is a failure of a standard stream, or another end that is no connection. It says nothing about
// a connection, though the system's error numbers may be the same.
type localError struct {
	doing string // "write standard output"
	err   error
	side  string // of a relay: "from" or "to"
}

func (e *localError) Error() string {
	var pathErr *os.PathError
	if errors.As(e.err, &pathErr) {
		return fmt.Sprintf("%s: %v", e.doing, pathErr.Err)
	}
	return fmt.Sprintf("%s: %v", e.doing, e.err)
}
func (e *localError) Unwrap() error { return e.err }

// A programError is a program that ended with a status other than 0.
type programError struct {
	name   string
	status int
}

func (e *programError) Error() string {
	return fmt.Sprintf("%s ended with status %d", e.name, e.status)
}

// A timeoutError is a limit that the user set and that has passed.
type timeoutError struct {
	what  string // "nothing passed for"
	after time.Duration
	last  error // what went wrong before, or nil
}

func (e *timeoutError) Error() string {
	if e.last != nil {
		return fmt.Sprintf("timed out: %s %v: %v", e.what, e.after, e.last)
	}
	return fmt.Sprintf("timed out: %s %v", e.what, e.after)
}
func (e *timeoutError) Timeout() bool { return true }

// inUse reports whether an address could not be bound because somebody has it.
func inUse(err error) bool {
	return errors.Is(err, errInUse) || errors.Is(err, tincan.ErrInUse)
}
