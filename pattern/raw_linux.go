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
func (r *rawConn) vectors(m *outgoing) bool {
	return r != nil && 2*len(m.parts)+1 <= maxVector
}

// tryWriteMessage writes what the system takes of m at once, without copying it. See writev(2).
func (r *rawConn) tryWriteMessage(m *outgoing) (n int, err error) {
	headers := make([]byte, 0, len(m.frames)+len(m.parts)*zmtp.MaxHeader)
	headers = append(headers, m.frames...)
	begin := 0
	for i, part := range m.parts {
		f := zmtp.FlagMore
		if i == len(m.parts)-1 {
			f = 0
		}
		headers = zmtp.AppendHeader(headers, f, len(part))
		r.vector = append(r.vector, headers[begin:], part)
		begin = len(headers)
	}
	if len(m.parts) == 0 {
		r.vector = append(r.vector, headers)
	}
	r.written, r.writeErr = 0, nil
	err = r.conn.Write(r.onWritev)
	clear(r.vector)
	r.vector = r.vector[:0]
	if err == nil {
		err = r.writeErr
	}
	return r.written, err
}

func (r *rawConn) writevSome(fd uintptr) bool {
	for {
		n, err := unix.Writev(int(fd), r.vector)
		switch err {
		case nil:
			r.written = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			r.writeErr = os.NewSyscallError("writev", err)
		}
		return true // what is left waits for the writer
	}
}
