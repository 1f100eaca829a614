package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

// quietTime is how long a session waits for more, after the end of input, where
// the family can neither pass that end on nor tell the peer's.
const quietTime = time.Second

// A stream is a session between a local reader and writer and one connection.
type stream struct {
	conn net.Conn
	in   io.Reader
	out  io.Writer
	// untilPeerEnds ends the session with the peer's end: at a terminal, where
	// nobody would know that a Ctrl-D is waited for.
	untilPeerEnds bool
	// drain, once closed, counts as the end of input.
	drain <-chan struct{}

	trace                *tincan.Trace
	idle                 *idleWatch
	sentTap, receivedTap *tap

	sending sync.Mutex // held while bytes are being sent, and to end the sending side
	inEnded bool       // guarded by sending: the peer has been told that no more comes
}

func newStream(p *program, f *sessionFlags, conn net.Conn, in io.Reader, out io.Writer) *stream {
	s := &stream{conn: conn, in: in, out: out, trace: p.report.hooks(), idle: newIdleWatch(f.idleTimeout)}
	var toPeer, fromPeer *hexDump
	if f.hex {
		toPeer = &hexDump{report: p.report, direction: "sent", remote: name(conn.RemoteAddr())}
		fromPeer = &hexDump{report: p.report, direction: "received", remote: name(conn.RemoteAddr())}
	}
	s.sentTap = newTap(s.idle, f.rate, toPeer)
	s.receivedTap = newTap(s.idle, f.rate, fromPeer)
	return s
}

// run passes bytes both ways until both directions have ended, and closes
// the connection. The end of input is passed on as a half-close, and the other
// direction goes on until it ends. It returns at once when ctx ends; a read of
// the local side that blocks then is left behind.
func (s *stream) run(ctx context.Context) error {
	err := s.exchange(ctx)
	if err != nil {
		s.hangUp()
	} else {
		err = s.conn.Close()
	}
	if f := s.trace.Closed; f != nil {
		f(s.conn, s.receivedTap.bytes.Load(), s.sentTap.bytes.Load(), err)
	}
	return err
}

func (s *stream) exchange(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.idle.limit > 0 {
		go func() {
			if s.idle.wait(ctx, s.idle.limit) {
				cancel(&timeoutError{what: "nothing passed in either direction for", after: s.idle.limit})
			}
		}()
	}
	up, down, silence := make(chan sent, 2), make(chan half, 1), make(chan struct{}, 1)
	go func() { up <- s.send(ctx) }()
	go func() { down <- copyStream(ctx, s.out, s.conn, s.receivedTap) }()

	var sendErr error
	drain, upOpen, downOpen := s.drain, true, true
	for upOpen || downOpen {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-silence:
			return nil
		case <-drain:
			drain = nil
			go func() { up <- s.endSending() }()
		case u := <-up:
			if !upOpen {
				continue // the input's true end, after the drain stood in for it
			}
			upOpen = false
			if u.readErr != nil && ctx.Err() == nil {
				return &localError{doing: "read standard input", err: u.readErr}
			}
			if sendErr = u.writeErr; sendErr == nil && !u.told && downOpen {
				go func() {
					if s.idle.wait(ctx, max(quietTime, s.idle.limit)) {
						silence <- struct{}{}
					}
				}()
			}
		case h := <-down:
			downOpen = false
			if err := s.receivingEnded(ctx, h); err != nil {
				return err
			}
			if s.untilPeerEnds || !halfCloses(s.conn) {
				upOpen = false
			}
		}
	}
	return sayWho(sendErr)
}

// sent is how the sending direction ended. The peer was told so where the family can.
type sent struct {
	half
	told bool
}

// send passes the input on until it ends, and then its end.
func (s *stream) send(ctx context.Context) sent {
	var h half
	if s.sentTap.plain() && kernelCopies(s.conn, s.in) {
		s.sending.Lock()
		h = copyInKernel(s.conn, s.in, s.sentTap)
		s.sending.Unlock()
	} else {
		h = copyStream(ctx, (*sender)(s), s.in, s.sentTap)
	}
	if h != (half{}) {
		return sent{half: h}
	}
	return s.endSending()
}

// receivingEnded judges the end of the peer's direction.
func (s *stream) receivingEnded(ctx context.Context, h half) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case h.writeErr != nil:
		return &localError{doing: "write standard output", err: h.writeErr}
	case h.readErr != nil:
		return sayWho(h.readErr)
	}
	if f := s.trace.HalfClosed; f != nil {
		f(s.conn, tincan.Remote)
	}
	return nil
}

// endSending tells the peer that no more comes. Where the family has no way
// to, the connection goes on.
func (s *stream) endSending() sent {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.inEnded = true
	err := tincan.CloseWrite(s.conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return sent{}
	case errors.Is(err, net.ErrClosed), isNotConnected(err):
		return sent{told: true} // the peer has ended both directions already: receiving tells how
	case err != nil:
		return sent{half: half{writeErr: err}}
	}
	if f := s.trace.HalfClosed; f != nil {
		f(s.conn, tincan.Local)
	}
	return sent{told: true}
}

// hangUp closes the connection after a failure. Where the peer has not been
// told that all was sent, it shall not take what it got for the whole: it sees a reset.
func (s *stream) hangUp() {
	told := s.sending.TryLock() && s.inEnded
	if told || tincan.Abort(s.conn) != nil {
		_ = s.conn.Close()
	}
}

// sender is the writing side of a stream's connection. It lets no half-close come between the bytes of one write.
type sender stream

func (s *sender) Write(b []byte) (int, error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.inEnded {
		return 0, net.ErrClosed
	}
	return s.conn.Write(b)
}

// halfCloses reports whether c's family can end one direction alone.
func halfCloses(c tincan.Conn) bool {
	for {
		if _, ok := c.(interface{ CloseWrite() error }); ok {
			return true
		}
		w, ok := c.(interface{ Unwrap() tincan.Conn })
		if !ok {
			return false
		}
		c = w.Unwrap()
	}
}

// sayWho says which side cut a connection short.
func sayWho(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the remote side ended without saying that it was done, what came may be cut short: %w", err)
	case isBrokenPipe(err):
		return fmt.Errorf("the remote side takes no more, not all was sent: %w", err)
	case tincan.KindOf(err) == tincan.KindReset:
		return fmt.Errorf("the remote side reset the connection: %w", err)
	}
	return err
}
