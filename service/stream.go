package service

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

const (
	// smallBuffer is what an idle stream holds.
	smallBuffer = 128
	// largeBuffer is what a busy one borrows.
	largeBuffer = 64 << 10
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// exchange writes what reply makes of each piece that is read, which it may
// overwrite, until the peer half-closes or, in a drain, falls silent. The
// server then closes at once, which says the same as a half-close before would, for one system call less. A peer that doesn't read is not read from: it fills its own buffers, not ours.
func exchange(ctx context.Context, conn net.Conn, reply func(piece []byte) []byte) error {
	r := newDrainReader(ctx, conn)
	small := make([]byte, smallBuffer)
	buf := small
	var large *[largeBuffer]byte
	defer func() {
		if large != nil {
			largeBuffers.Put(large)
		}
	}()
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if answer := reply(buf[:n]); len(answer) > 0 {
				if _, err := conn.Write(answer); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case large == nil && n == smallBuffer:
			large = largeBuffers.Get().(*[largeBuffer]byte)
			buf = large[:]
		case large != nil && n <= smallBuffer:
			largeBuffers.Put(large)
			large, buf = nil, small
		}
	}
}

// lingerTime bounds how long finish waits for the peer to close as well.
const lingerTime = 2 * time.Second

// finish half-closes and discards what the peer still sends: closing with
// unread bytes would reset the connection, and the peer might lose the answer.
func finish(conn net.Conn) error {
	switch err := tincan.CloseWrite(conn); {
	case errors.Is(err, errors.ErrUnsupported):
		return nil // the close that follows is all there is
	case err != nil:
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(lingerTime)); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn) // the answer was sent; how the peer ends is its own affair
	return nil
}

// A drainReader reads from a connection and gives io.EOF when, in a drain, the
// peer was silent for drainQuiet. It needs no goroutine: the server wakes it by a deadline.
type drainReader struct {
	conn     net.Conn
	draining bool
}

func newDrainReader(ctx context.Context, conn net.Conn) drainReader {
	return drainReader{conn: conn, draining: !wakeOnDrain(ctx, wakeReader)}
}

func (r *drainReader) Read(p []byte) (int, error) {
	if !r.draining {
		n, err := r.conn.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n > 0 {
			return n, err
		}
		r.draining = true
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(drainQuiet)); err != nil {
		return 0, err
	}
	n, err := r.conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}
