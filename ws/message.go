package ws

import (
	"context"
	"io"
	"net"
	"slices"
	"time"

	"github.com/tincan-ipc/tincan"
)

// messages is a message connection: a [tincan.MessageConn].
type messages struct{ conn }

func newMessages(lower net.Conn, e *tincan.Endpoint, trace *tincan.Trace) *messages {
	m := &messages{}
	m.init(m, lower, e, trace)
	if m.limit = int64(e.Options.MaxMessage); m.limit <= 0 {
		m.limit = tincan.DefaultMaxMessage
	}
	m.deliver = m.whole
	return m
}

// whole hands over one message. Its buffer grows with what has arrived, not
// with what a header announces.
func (m *messages) whole(r io.Reader) error {
	b := newBuffer()
	for {
		b.b = slices.Grow(b.b, 512)
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if err == io.EOF {
			return m.hand(b)
		}
		if err != nil {
			b.free()
			return err
		}
	}
}

// ReadMessage is as [tincan.MessageConn] says. A message over the limit of
// MaxMessage ends the connection: the peer gets status 1009, the reader [tincan.ErrMessageTooLong].
func (m *messages) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	m.readMu.Lock()
	defer m.readMu.Unlock()
	if err := m.next(ctx, nil); err != nil {
		return 0, m.opError("read", err)
	}
	defer m.took()
	if len(m.head.b) > len(buf) {
		return 0, m.opError("read", io.ErrShortBuffer)
	}
	return copy(buf, m.head.b), nil
}

// WaitReadable waits until a ReadMessage would not block; see
// [tincan.WaitReadable]. It must not be called while a ReadMessage is under way.
func (m *messages) WaitReadable(ctx context.Context) error {
	m.readMu.Lock()
	defer m.readMu.Unlock()
	return readable(m.next(ctx, nil))
}

// NextSize waits for the next message and gives its length; see [tincan.NextSize].
// It must not be called while a ReadMessage is under way.
func (m *messages) NextSize(ctx context.Context) (int, error) {
	m.readMu.Lock()
	defer m.readMu.Unlock()
	if err := m.next(ctx, nil); err != nil {
		return 0, readable(err)
	}
	return len(m.head.b), nil
}

// WriteMessage is as [tincan.MessageConn] says. A msg over the limit of
// MaxMessage is [tincan.ErrMessageTooLong]. When ctx ends in the middle of msg, its rest goes
// out with the next message or with Close.
func (m *messages) WriteMessage(ctx context.Context, msg []byte) error {
	if int64(len(msg)) > m.limit {
		return m.opError("write", tincan.ErrMessageTooLong)
	}
	if err := m.established(ctx, nil); err != nil {
		return m.opError("write", err)
	}
	m.writeMu.Lock()
	defer m.writeMu.Unlock()
	restore := m.until(ctx)
	_, err := m.send(msg)
	restore()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return m.opError("write", err)
}

// until bounds a write by ctx until restore is called.
func (m *messages) until(ctx context.Context) (restore func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		m.wire.setDeadline(past)
	})
	return func() {
		if !stop() {
			<-cut
			m.wire.setDeadline(time.Time{})
		}
	}
}
