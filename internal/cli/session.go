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
	"github.com/tincan-ipc/tincan/internal/capture"
)

// quietTime is how long a session waits for more, after the end of input, where
// the family can't pass that end on.
const quietTime = time.Second

// remoteSide is how a session names its peer.
const remoteSide = "the remote side"

// errQuiet ends a session in order: input has ended and nothing comes any more.
var errQuiet = errors.New("quiet since the end of input")

// A session is what goes on between the local side, an input and an output,
// and one connection, until both directions have ended.
type session struct {
	conn   tincan.Conn
	scheme string
	// send passes the input on until it ends; receive what the peer sends.
	send, receive func(ctx context.Context) half
	// untilPeerEnds ends the session with the peer's end: at a terminal, where
	// nobody would know that a Ctrl-D is waited for.
	untilPeerEnds bool
	// patient waits for the peer's end without limit, as a listener does,
	// where the end of input can't be passed on.
	patient bool
	// drain, once closed, counts as the end of input.
	drain <-chan struct{}

	trace                *tincan.Trace
	idle                 *idleWatch
	sentTap, receivedTap *tap
	ending               func() // called before the end of input is passed on, may be nil

	sending sync.Mutex // held while bytes are being sent, and to end the sending side
	inEnded bool       // guarded by sending: the peer has been told that no more comes
}

func newSession(p *program, f *sessionFlags, e *tincan.Endpoint, conn tincan.Conn) *session {
	s := &session{conn: conn, scheme: e.Scheme, trace: p.report.hooks(), idle: newIdleWatch(f.idleTimeout)}
	var toPeer, fromPeer *hexDump
	if f.hex {
		toPeer = &hexDump{report: p.report, direction: "sent", remote: name(conn.RemoteAddr())}
		fromPeer = &hexDump{report: p.report, direction: "received", remote: name(conn.RemoteAddr())}
	}
	s.sentTap = newTap(s.idle, f.rate, toPeer)
	s.receivedTap = newTap(s.idle, f.rate, fromPeer)
	own := capture.First
	if f.serves {
		own = capture.Second
	}
	s.recorded(p.recorder, own)
	return s
}

// run passes what comes both ways until both directions have ended, and closes
// the connection. The end of input is passed on as a half-close, and the other
// direction goes on until it ends. It returns at once when ctx ends; a read of
// the input that blocks then is left behind.
func (s *session) run(ctx context.Context) error {
	err := s.exchange(ctx)
	if errors.Is(err, errQuiet) {
		err = nil
	}
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

func (s *session) exchange(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.idle.limit > 0 {
		go s.idle.watch(ctx, s.idle.limit, cancel)
	}
	up, down := make(chan sent, 2), make(chan half, 1)
	go func() {
		h := s.send(ctx)
		if h != (half{}) {
			up <- sent{half: h}
			return
		}
		up <- s.endSending()
	}()
	go func() { down <- s.receive(ctx) }()

	var sendErr error
	drain, patient := s.drain, s.patient
	upOpen, downOpen, told := true, true, false
	for upOpen || downOpen {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-drain:
			drain, patient = nil, false
			if upOpen {
				go func() { up <- s.endSending() }()
			} else if !told {
				s.awaitQuiet(ctx, cancel)
			}
		case u := <-up:
			if !upOpen {
				continue // the input's true end, after the drain stood in for it
			}
			upOpen = false
			if u.readErr != nil {
				return s.inputFailed(ctx, u.readErr)
			}
			sendErr, told = u.writeErr, u.told
			if sendErr == nil && !told {
				s.idle.quiet.Store(true)
				if !patient {
					s.awaitQuiet(ctx, cancel)
				}
			}
		case h := <-down:
			downOpen = false
			if err := s.receivingEnded(ctx, h); err != nil {
				return err
			}
			if s.untilPeerEnds || !s.halfCloses() {
				upOpen = false
			}
		}
	}
	return sayWho(remoteSide, sendErr)
}

// sent is how the sending direction ended. The peer was told so where the family can.
type sent struct {
	half
	told bool
}

// awaitQuiet ends the session in order once nothing has passed for a while,
// since the peer can't know that its answers are all that is waited for.
func (s *session) awaitQuiet(ctx context.Context, cancel context.CancelCauseFunc) {
	if s.idle.limit == 0 { // else it is being watched already
		go s.idle.watch(ctx, quietTime, cancel)
	}
}

func (s *session) inputFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &localError{doing: "read standard input", err: err}
}

// receivingEnded judges the end of the peer's direction.
func (s *session) receivingEnded(ctx context.Context, h half) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case h.writeErr != nil:
		return &localError{doing: "write standard output", err: h.writeErr}
	case h.readErr != nil:
		return sayWho(remoteSide, h.readErr)
	}
	if f := s.trace.HalfClosed; f != nil {
		f(s.conn, tincan.Remote)
	}
	return nil
}

// endSending tells the peer that no more comes. Where the family has no way
// to, the connection goes on.
func (s *session) endSending() sent {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.inEnded = true
	if s.ending != nil {
		s.ending()
	}
	err := tincan.CloseWrite(s.conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return sent{}
	case errors.Is(err, net.ErrClosed), errors.Is(err, errNotConnected):
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
func (s *session) hangUp() {
	told := s.sending.TryLock() && s.inEnded
	if told || tincan.Abort(s.conn) != nil {
		_ = s.conn.Close()
	}
}

// halfCloses reports whether the connection's family can end one direction alone.
func (s *session) halfCloses() bool {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.inEnded {
		return true // it no longer matters: the input has ended
	}
	switch s.scheme {
	case "ws", "wss", "ws+unix":
		return false
	}
	return !datagrams(s.scheme)
}

// sayWho says which side cut a connection short.
func sayWho(who string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s ended without saying that it was done, what came may be cut short: %w", who, err)
	case errors.Is(err, errBrokenPipe):
		return fmt.Errorf("%s takes no more, not all was sent: %w", who, err)
	case tincan.KindOf(err) == tincan.KindDenied:
		return fmt.Errorf("%s turned this one away: %w", who, err)
	case tincan.KindOf(err) == tincan.KindReset:
		return fmt.Errorf("%s reset the connection: %w", who, err)
	}
	return err
}
