package tincan

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

// wasCut: Windows tells a datagram longer than the buffer by an error.
func wasCut(_ int, err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

// readError tells an ICMP message "port unreachable", which Windows reports as
// a reset, as other systems do.
func readError(err error) error {
	if errors.Is(err, windows.WSAECONNRESET) {
		return fmt.Errorf("%w: %w", syscall.ECONNREFUSED, err)
	}
	return err
}

func isTooLong(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

func isFull(err error) bool { return errors.Is(err, windows.WSAENOBUFS) }

func sendUnix(socket, string, []byte) error { return errNoUnixMessages }
