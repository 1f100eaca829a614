package pattern

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan/zmtp"
)

// maxVector bounds the pieces of one write (IOV_MAX).
const maxVector = 1024

// vectors reports whether m can be written from where it lies.
func (c *rawConn) vectors(m *outgoing) bool {
	return c != nil && 2*len(m.parts)+1 <= maxVector
}

// tryWriteMessage writes what the system takes of m at once, without copying it. See writev(2).
func (c *rawConn) tryWriteMessage(m *outgoing) (n int, err error) {
	headers := make([]byte, 0, len(m.frames)+len(m.parts)*zmtp.MaxHeader)
	headers = append(headers, m.frames...)
	pieces := make([][]byte, 0, 2*len(m.parts)+1)
	begin := 0
	for i, part := range m.parts {
		headers = zmtp.AppendHeader(headers, m.flags(i), len(part))
		pieces = append(pieces, headers[begin:], part)
		begin = len(headers)
	}
	if begin < len(headers) {
		pieces = append(pieces, headers[begin:])
	}
	var writeErr error
	err = c.conn.Write(func(fd uintptr) bool {
		for {
			switch n, writeErr = unix.Writev(int(fd), pieces); writeErr {
			case syscall.EINTR:
				continue
			case syscall.EAGAIN:
				n, writeErr = 0, nil
			}
			return true // what is left waits for the writer
		}
	})
	if err == nil && writeErr != nil {
		err = os.NewSyscallError("writev", writeErr)
	}
	return max(n, 0), err
}
