//go:build unix

package pattern

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/tincan-ipc/tincan"
)

// A rawConn reads and writes a socket without waiting, or waiting without a buffer. Nil stands for a
// connection that isn't a socket's own bytes, such as TLS. One goroutine at a time reads, and one writes.
type rawConn struct {
	conn syscall.RawConn

	write    []byte
	written  int
	writeErr error
	onWrite  func(fd uintptr) bool // made once, for a closure costs memory each time

	r       *reader
	readErr error
	onRead  func(fd uintptr) bool
	poll    busyPoll
	// unprobed says that the reader waits after a read that gave less than it could, without having been told
	// that nothing is left. That spares a system call for each message of a dialogue, but an end that came with the
	// bytes would show only when something else happens: the socket's prober sees to it.
	unprobed atomic.Bool
	suspect  bool // the prober found it so; of the prober
}

// newRawConn gives nil where c has no socket to itself.
func newRawConn(c net.Conn) *rawConn {
	rc, err := tincan.SyscallConn(c)
	if err != nil {
		return nil
	}
	raw := &rawConn{conn: rc}
	raw.onWrite, raw.onRead = raw.writeSome, raw.readSome
	return raw
}

// tryWrite writes what the system takes of b at once.
func (c *rawConn) tryWrite(b []byte) (n int, err error) {
	c.write, c.written, c.writeErr = b, 0, nil
	err = c.conn.Write(c.onWrite)
	c.write = nil
	if err == nil {
		err = c.writeErr
	}
	return c.written, err
}

func (c *rawConn) writeSome(fd uintptr) bool {
	for c.written < len(c.write) {
		n, err := syscall.Write(int(fd), c.write[c.written:])
		if n > 0 {
			c.written += n
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			c.writeErr = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// serve has r take what comes until the connection ends or a deadline passes, and says why. The end is [io.EOF].
func (c *rawConn) serve(r *reader) error {
	c.r, c.readErr = r, nil
	err := c.conn.Read(c.onRead)
	c.unprobed.Store(false)
	if err == nil {
		err = c.readErr
	}
	return err
}

// readSome reads until nothing is there. False lets it wait, true ends it.
func (c *rawConn) readSome(fd uintptr) bool {
	c.unprobed.Store(false)
	for turn := 0; ; {
		b := c.r.space()
		n, err := syscall.Read(int(fd), b)
		if err == syscall.EINTR || err == syscall.EAGAIN && c.poll.again() {
			continue
		}
		c.poll.end()
		switch {
		case err == syscall.EAGAIN:
			c.r.idle()
			return false
		case err != nil:
			c.readErr = os.NewSyscallError("read", err)
			return true
		case n == 0:
			c.readErr = io.EOF
			return true
		}
		if c.readErr = c.r.take(n); c.readErr != nil {
			return true
		}
		if n < len(b) {
			if turn++; turn <= maxTurns && c.poll.begin(c.r) {
				continue
			}
			c.unprobed.Store(true)
			c.r.p.s.prober.expect(c.r.p.s)
			return false
		}
	}
}
