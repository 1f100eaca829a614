package ws

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
)

// A StatusError is an upgrade that was answered by an HTTP status other than
// 101. Dialling gives it for the server's answer, an accepted connection's
// handshake for its own.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// Reason is the first line of the answer's text; it may be empty.
	Reason string
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("answered by HTTP status %d %s", e.Code, http.StatusText(e.Code))
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// closedError is a close frame whose status tells of a failure. It is a
// connection that ended in the middle of something, hence an [io.ErrUnexpectedEOF].
type closedError struct{ frame websocket.CloseError }

func (e *closedError) Error() string {
	s := fmt.Sprintf("the peer closed with status %d", int(e.frame.Code))
	if e.frame.Reason != "" {
		s += fmt.Sprintf(" (%q)", e.frame.Reason)
	}
	return s
}

func (e *closedError) Unwrap() []error {
	if e.frame.Code == websocket.StatusMessageTooBig {
		return []error{e.frame, io.ErrUnexpectedEOF, tincan.ErrMessageTooLong}
	}
	return []error{e.frame, io.ErrUnexpectedEOF}
}

// ending tells why reading ended: err is the library's, lower what the
// connection underneath said, if anything.
func ending(err, lower error, limit int64) error {
	var frame websocket.CloseError
	switch {
	case errors.As(err, &frame):
		switch frame.Code {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			return io.EOF
		}
		return &closedError{frame}
	case errors.Is(err, websocket.ErrMessageTooBig):
		return fmt.Errorf("%w: the limit is %d bytes", tincan.ErrMessageTooLong, limit)
	case lower == io.EOF:
		return io.ErrUnexpectedEOF // no close frame came before it
	case lower != nil:
		return lower
	}
	return err
}
