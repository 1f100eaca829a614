package relay

import (
	"io"
	"net"
	"sync"
)

const (
	bufferSize = 64 << 10
	// smallSize is what one direction holds that waits for a connection which is no bare socket.
	smallSize = 2 << 10
	// promoteAfter is how many large reads, without a small one between them, make a flow
	// bulk, for which a pipe pays; small pieces it would only slow down. Not each fills the
	// buffer: what a socket holds at once need not be a multiple of it.
	promoteAfter = 3
	largePiece   = bufferSize / 2
	smallPiece   = 8 << 10
)

// buffers are shared by all pairs; an idle pair of sockets holds none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A mover moves one direction of a pair. What it reads and sends is in its fields and
// not in frames, so that the stack of one that waits stays at the 2 KiB it begins with.
type mover struct {
	pair     *pair
	d        Direction
	src, dst net.Conn
	most     int        // bytes moved at once by copying
	kernel   kernelPath //lint:ignore U1000 where every byte is copied

	small []byte            // for what is no bare socket, once that was read
	lent  *[bufferSize]byte // from buffers, while there is something in it
	piece []byte            // what was read and is not sent yet
}

// newMovers gives those of both directions.
func newMovers(p *pair, first, second net.Conn) *[2]mover {
	m := &[2]mover{
		{pair: p, d: Forward, src: first, dst: second, most: p.limit(bufferSize)},
		{pair: p, d: Backward, src: second, dst: first, most: p.limit(bufferSize)},
	}
	prepare(m)
	return m
}

// move moves everything from src to dst: [io.EOF] at src's orderly end, else an [*EndError] or why the pair was interrupted.
func (m *mover) move() error {
	large := false // the last read filled the buffer, where that is of a connection which is no bare socket
	for bulky := 0; ; {
		if bulky >= promoteAfter && m.canSplice() {
			bulky = 0
			if err := m.splice(); err != nil {
				return err
			}
		}
		var readErr error
		if m.readsLazily() {
			readErr = m.readLazily()
		} else {
			readErr = m.read(large)
		}
		n := len(m.piece)
		if n > 0 {
			if err := m.send(); err != nil {
				return err
			}
		}
		if readErr != nil {
			return readErr
		}
		large = n >= smallSize
		switch {
		case n >= largePiece:
			bulky++
		case n < smallPiece:
			bulky = 0
		}
	}
}

// read reads the next piece, in a large buffer only where it may take that.
func (m *mover) read(large bool) error {
	if !large {
		if m.small == nil {
			m.small = make([]byte, min(smallSize, m.most))
		}
		n, err := m.src.Read(m.small)
		m.piece = m.small[:n]
		return m.receiveError(err)
	}
	m.lent = buffers.Get().(*[bufferSize]byte)
	n, err := m.src.Read(m.lent[:m.most])
	m.piece = m.lent[:n]
	m.release()
	return m.receiveError(err)
}

// release gives an empty buffer back at once.
func (m *mover) release() {
	if len(m.piece) > 0 {
		return
	}
	m.piece = nil // it may lie in the buffer
	if m.lent != nil {
		buffers.Put(m.lent)
		m.lent = nil
	}
}

// send sends on what was read.
func (m *mover) send() error {
	p := m.pair
	p.sending[m.d].Store(true)
	err := p.admit(len(m.piece))
	if err == nil {
		if p.o.Tap != nil {
			p.o.Tap(m.d, m.piece)
		}
		whole := len(m.piece)
		err = m.sendError(m.write())
		p.passed(m.d, whole-len(m.piece))
	}
	m.piece = nil
	m.release()
	p.sending[m.d].Store(false)
	return err
}

// writeCopied writes the piece by dst's own Write, and leaves in it what could not be written.
func (m *mover) writeCopied() error {
	n, err := m.dst.Write(m.piece)
	m.piece = m.piece[n:]
	return err
}

func (m *mover) receiveError(err error) error {
	if err == nil || err == io.EOF { // only the bare one is an orderly end
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
