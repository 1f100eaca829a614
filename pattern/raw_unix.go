//go:build unix

package pattern

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/tincan-ipc/tincan"
)

// A rawConn reads and writes a socket without waiting, or waiting without a buffer. Nil stands for a
// connection that isn't a socket's own bytes, such as TLS. One goroutine at a time reads, and one writes.
type rawConn struct {
	conn syscall.RawConn

	write    []byte
	vector   [][]byte // in place of write
	headers  []byte
	written  int
	writeErr error
	onWrite  func(fd uintptr) bool // made once, for a closure costs memory each time
	onWritev func(fd uintptr) bool

	prepare func() []byte // gives what to read into
	idle    func()        // is told that there is nothing to read, before a wait
	readN   int
	readErr error
	onRead  func(fd uintptr) bool
}

// newRawConn gives nil where c has no socket to itself.
func newRawConn(c net.Conn) *rawConn {
	rc, err := tincan.SyscallConn(c)
	if err != nil {
		return nil
	}
	r := &rawConn{conn: rc}
	r.onWrite = r.writeSome
	r.onRead = r.readSome
	r.onWritev = r.writevSome
	return r
}

// tryWrite writes what the system takes of b at once.
func (r *rawConn) tryWrite(b []byte) (n int, err error) {
	r.write, r.written, r.writeErr = b, 0, nil
	err = r.conn.Write(r.onWrite)
	r.write = nil
	if err == nil {
		err = r.writeErr
	}
	return r.written, err
}

func (r *rawConn) writeSome(fd uintptr) bool {
	for r.written < len(r.write) {
		n, err := syscall.Write(int(fd), r.write[r.written:])
		if n > 0 {
			r.written += n
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			r.writeErr = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// read waits until there is something to read, asks prepare for memory and reads once. The end is [io.EOF].
func (r *rawConn) read() (int, error) {
	r.readN, r.readErr = 0, nil
	err := r.conn.Read(r.onRead)
	if err == nil {
		err = r.readErr
	}
	if err == nil && r.readN == 0 {
		err = io.EOF
	}
	return r.readN, err
}

func (r *rawConn) readSome(fd uintptr) bool {
	b := r.prepare()
	for {
		n, err := syscall.Read(int(fd), b)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			r.idle()
			return false
		}
		r.readN, r.readErr = max(n, 0), nil
		if err != nil {
			r.readErr = os.NewSyscallError("read", err)
		}
		return true
	}
}
