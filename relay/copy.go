package relay

import (
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/tincan-ipc/tincan"
)

const (
	bufferSize = 64 << 10
	// smallSize is what one direction holds that waits for a connection which is no bare socket.
	smallSize = 2 << 10
	// promoteAfter is how many reads in a row must fill the buffer before a
	// flow counts as bulk, for which a pipe pays; small pieces it would only slow down.
	promoteAfter = 3
)

// buffers are shared by all pairs; an idle pair of sockets holds none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A mover moves one direction of a pair.
type mover struct {
	pair     *pair
	d        Direction
	src, dst net.Conn
	most     int // bytes moved at once by copying
	small    []byte
	kernel   kernelPath

	// passed tells a connection that counts what goes past its Read and Write.
	srcPassed, dstPassed func(received, sent int64)
}

func newMover(p *pair, d Direction, src, dst net.Conn) *mover {
	m := &mover{pair: p, d: d, src: src, dst: dst, most: p.limit(bufferSize)}
	m.srcPassed, m.dstPassed = passedOf(src), passedOf(dst)
	m.prepare()
	return m
}

// passedOf finds c's own count, as a server's connection has it.
func passedOf(c net.Conn) func(received, sent int64) {
	if counts, ok := c.(interface{ Passed(received, sent int64) }); ok {
		return counts.Passed
	}
	return func(_, _ int64) {}
}

// rawSocket gives the socket of c, where c is nothing but that.
func rawSocket(c net.Conn) syscall.RawConn {
	raw, err := tincan.SyscallConn(c)
	if err != nil || !isStreamSocket(raw) {
		return nil
	}
	return raw
}

// move moves everything from src to dst: [io.EOF] at src's orderly end, else an [*EndError] or why the pair was interrupted.
func (m *mover) move() error {
	large := false // the last read filled the buffer, where that is of a connection which is no bare socket
	for full := 0; ; {
		if full >= promoteAfter && m.canSplice() {
			full = 0
			if err := m.splice(); err != nil {
				return err
			}
		}
		n, err := m.copyOnce(large)
		if err != nil {
			return err
		}
		large = n >= smallSize
		if n == m.most {
			full++
		} else {
			full = 0
		}
	}
}

// copyOnce moves what one read gives, and holds a large buffer no longer than that.
func (m *mover) copyOnce(large bool) (int, error) {
	var (
		n    int
		err  error
		p    []byte
		lent *[bufferSize]byte
	)
	switch {
	case m.readsLazily():
		lent, n, err = m.readLazily()
	case large:
		lent = buffers.Get().(*[bufferSize]byte)
		n, err = m.src.Read(lent[:m.most])
	default:
		if m.small == nil {
			m.small = make([]byte, min(smallSize, m.most))
		}
		p = m.small
		n, err = m.src.Read(p)
	}
	if lent != nil {
		p = lent[:]
		defer buffers.Put(lent)
	}
	if n > 0 {
		if err := m.send(p[:n]); err != nil {
			return n, err
		}
	}
	return n, m.receiveError(err)
}

// send sends on what was read.
func (m *mover) send(p []byte) error {
	m.pair.sending[m.d].Store(true)
	defer m.pair.sending[m.d].Store(false)
	if err := m.pair.admit(len(p)); err != nil {
		return err
	}
	if tap := m.pair.o.Tap; tap != nil {
		tap(m.d, p)
	}
	n, err := m.write(p)
	m.pair.passed(m.d, n)
	return m.sendError(err)
}

func (m *mover) receiveError(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // only the bare one is an orderly end
		return err
	}
	return &EndError{Direction: m.d, Reading: true, Err: err}
}

func (m *mover) sendError(err error) error {
	if err == nil {
		return nil
	}
	return &EndError{Direction: m.d, Err: err}
}
