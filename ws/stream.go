package ws

import (
	"context"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/wait"
)

// maxPiece bounds the message that one Write makes, and what is read ahead. A
// longer Write becomes several: implementations refuse long messages, by
// default some from 32 KiB on.
const maxPiece = 32 << 10

// stream is a byte stream: a [net.Conn].
type stream struct {
	conn
	readDeadline, writeDeadline wait.Deadline

	off int // how much of head was read; readMu guards it
}

func newStream(lower net.Conn, e *tincan.Endpoint, trace *tincan.Trace) *stream {
	s := &stream{}
	s.init(s, lower, e, trace)
	s.limit = -1 // it is handed over in pieces
	s.deliver = s.pieces
	return s
}

// pieces hands over the bytes of one message.
func (s *stream) pieces(r io.Reader) error {
	for {
		b := newBuffer()
		if cap(b.b) < maxPiece {
			b.b = make([]byte, maxPiece)
		}
		n, err := r.Read(b.b[:maxPiece])
		if err != nil && err != io.EOF && !s.client {
			n = 0 // the library has not unmasked what came before the error
		}
		b.b = b.b[:n]
		if n == 0 {
			b.free()
		} else if err := s.hand(b); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Read reads what arrived, from text and binary messages alike.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if err := s.next(context.Background(), s.readDeadline.Wait()); err != nil {
		return 0, s.opError("read", err)
	}
	n := copy(p, s.head.b[s.off:])
	if s.off += n; s.off == len(s.head.b) {
		s.took()
		s.off = 0
	}
	return n, nil
}

// WaitReadable waits until a Read would not block; see [tincan.WaitReadable].
// It must not be called while a Read is under way.
func (s *stream) WaitReadable(ctx context.Context) error {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	return readable(s.next(ctx, s.readDeadline.Wait()))
}

// Write sends p as one or more messages. When the deadline passes, n counts
// what goes out with the next Write or with Close too.
func (s *stream) Write(p []byte) (n int, err error) {
	if err := s.established(context.Background(), s.writeDeadline.Wait()); err != nil {
		return 0, s.opError("write", err)
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.e.Options.Text {
		return s.writeText(p)
	}
	for len(p) > 0 {
		piece := p[:min(len(p), maxPiece)]
		sent, err := s.send(piece)
		if sent {
			n += len(piece)
		}
		if err != nil {
			return n, s.opError("write", err)
		}
		p = p[len(piece):]
	}
	return n, nil
}

// writeText cuts p between characters only: a text message that holds a part
// of one is an error to the peer (RFC 6455 §8.1). The part at the end waits for the next Write.
func (s *stream) writeText(p []byte) (n int, err error) {
	for len(p) > 0 {
		before := len(s.part)
		piece := append(s.part, p[:min(len(p), maxPiece)]...)
		taken := len(piece) - before
		whole := wholeText(piece)
		if whole > 0 {
			sent, err := s.send(piece[:whole])
			if sent {
				n += taken
				s.part = append([]byte(nil), piece[whole:]...)
			}
			if err != nil {
				return n, s.opError("write", err)
			}
		} else {
			n += taken
			s.part = piece
		}
		p = p[taken:]
	}
	return n, nil
}

// wholeText gives the length of p without a character cut short at its end.
// What is no UTF-8 at all counts as whole.
func wholeText(p []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if last := p[len(p)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return len(p) - i
			}
			break
		}
	}
	return len(p)
}

func (s *stream) SetDeadline(t time.Time) error {
	_ = s.SetWriteDeadline(t)
	return s.SetReadDeadline(t)
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.readDeadline.Set(t)
	return s.deadlineError()
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.writeDeadline.Set(t)
	s.wire.setDeadline(t)
	return s.deadlineError()
}

func (s *stream) deadlineError() error {
	select {
	case <-s.closing:
		return s.opError("set", net.ErrClosed)
	default:
		return nil
	}
}
