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
	begin := 0
	for i, part := range m.parts {
		f := zmtp.FlagMore
		if i == len(m.parts)-1 {
			f = 0
		}
		headers = zmtp.AppendHeader(headers, f, len(part))
		c.vector = append(c.vector, headers[begin:], part)
		begin = len(headers)
	}
	if len(m.parts) == 0 {
		c.vector = append(c.vector, headers)
	}
	c.written, c.writeErr = 0, nil
	err = c.conn.Write(c.onWritev)
	clear(c.vector)
	c.vector = c.vector[:0]
	if err == nil {
		err = c.writeErr
	}
	return c.written, err
}

func (c *rawConn) writevSome(fd uintptr) bool {
	for {
		n, err := unix.Writev(int(fd), c.vector)
		switch err {
		case nil:
			c.written = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			c.writeErr = os.NewSyscallError("writev", err)
		}
		return true // what is left waits for the writer
	}
}
