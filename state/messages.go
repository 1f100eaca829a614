package state

import (
	"context"
	"errors"
	"sync"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// ServeMessages is [Server.ServeStream] over messages, as those of WebSocket: each is one object. A connection that
// can't end its sending alone ends with it.
func (s *Server) ServeMessages(ctx context.Context, conn tincan.MessageConn) error {
	c := newClient(s)
	c.whole = !tincan.CanCloseWrite(conn)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var reader sync.WaitGroup
	reader.Go(func() {
		m := messageReader{conn: conn, limit: MaxLine}
		c.read(func() ([]byte, error) { return m.next(reading) })
	})
	err := s.follow(ctx, &messageSink{ctx, conn}, c.asks)
	close(c.done)
	stop()
	reader.Wait()
	return c.outcome(ctx, err)
}

// A messageReader receives messages of any length up to a limit, and holds no more memory than the last was long.
type messageReader struct {
	conn  tincan.MessageConn
	limit int
	buf   []byte
}

// next gives the next message, which is valid until the next call. One that is too long is [frame.ErrTooLong], and there is no way on.
func (m *messageReader) next(ctx context.Context) ([]byte, error) {
	size, err := tincan.NextSize(ctx, m.conn)
	if errors.Is(err, errors.ErrUnsupported) {
		size, err = m.limit, nil
	}
	switch {
	case err != nil:
		return nil, err
	case size > m.limit:
		return nil, frame.ErrTooLong
	case size > len(m.buf) || len(m.buf) > keptBuffer:
		m.buf = make([]byte, size)
	}
	n, err := m.conn.ReadMessage(ctx, m.buf)
	return m.buf[:n], err
}

// A messageSink sends messages.
type messageSink struct {
	ctx  context.Context
	conn tincan.MessageConn
}

func (m *messageSink) changes(list []pending) error {
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	for _, p := range list {
		*b = p.c.appendTo((*b)[:0], p.missed)
		if err := m.conn.WriteMessage(m.ctx, *b); err != nil {
			return err
		}
	}
	return nil
}

func (m *messageSink) snapshot(object []byte, _ uint64) error { return m.fault(object) }

func (m *messageSink) fault(object []byte) error { return m.conn.WriteMessage(m.ctx, object) }

func (m *messageSink) idle() error { return nil }
