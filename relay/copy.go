package relay

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/tincan-ipc/tincan"
)

const (
	bufferSize = 64 << 10
	// promoteAfter is how many reads in a row must fill the buffer before a
	// flow counts as bulk, for which a pipe pays; small pieces it would only slow down.
	promoteAfter = 3
)

// buffers are shared by all pairs; an idle pair holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// mover moves one direction of a pair.
type mover struct {
	pair     *pair
	d        Direction
	src, dst net.Conn
	rawSrc   syscall.RawConn // nil where src is no bare socket
	rawDst   syscall.RawConn
}

// move moves everything from src to dst: nil or io.EOF at src's orderly end, else an [*EndError] or ctx's error.
func (p *pair) move(ctx context.Context, d Direction, src, dst net.Conn) error {
	m := &mover{pair: p, d: d, src: src, dst: dst}
	m.rawSrc, _ = tincan.SyscallConn(src)
	m.rawDst, _ = tincan.SyscallConn(dst)
	spliceable := p.o.Tap == nil && m.rawSrc != nil && m.rawDst != nil && canSplice
	for full := 0; ; {
		if spliceable && full >= promoteAfter {
			full = 0
			switch err := m.splice(ctx); err {
			case errDemoted:
			case errNoSplice:
				spliceable = false
			default:
				return err
			}
		}
		n, err := m.copyOnce(ctx)
		if err != nil {
			return err
		}
		if n == bufferSize {
			full++
		} else {
			full = 0
		}
	}
}

// copyOnce moves what one read gives, with a buffer held no longer than that.
func (m *mover) copyOnce(ctx context.Context) (int, error) {
	buf, n, err := m.read()
	if buf != nil {
		defer buffers.Put(buf)
	}
	if n > 0 {
		p := (*buf)[:n]
		if tap := m.pair.o.Tap; tap != nil {
			tap(m.d, p)
		}
		if _, err := m.dst.Write(p); err != nil {
			return n, m.sendError(err)
		}
		if err := m.pair.passed(ctx, m.d, n); err != nil {
			return n, err
		}
	}
	return n, m.receiveError(err)
}

// read takes a buffer from the pool only when there is something to read.
func (m *mover) read() (*[]byte, int, error) {
	if m.rawSrc != nil {
		if buf, n, err, ok := readLazily(m.rawSrc); ok {
			return buf, n, err
		}
	}
	buf := buffers.Get().(*[]byte)
	n, err := m.src.Read(*buf)
	return buf, n, err
}

func (m *mover) receiveError(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // only the bare one is an orderly end
		return err
	}
	return &EndError{Direction: m.d, Reading: true, Err: err}
}

func (m *mover) sendError(err error) error {
	return &EndError{Direction: m.d, Err: err}
}
