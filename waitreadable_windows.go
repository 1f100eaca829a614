package tincan

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// waitReadable lets [syscall.RawConn] wait: on Windows its Read waits by
// receiving zero bytes (a peek, for datagrams), which ends when data or the
// peer's end is there, and only then calls the function a second time.
func waitReadable(c syscall.RawConn) error {
	calls := 0
	err := c.Read(func(uintptr) bool {
		calls++
		return calls > 1
	})
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // another error is what the next read will tell
}

// readable can't tell.
func readable(syscall.RawConn) (bool, error) { return false, errors.ErrUnsupported }
