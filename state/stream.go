package state

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// ServeStream lets the client on conn follow the table: JSON objects, one a line, both ways. It is a stream handler of package service.
//
// It blocks until the client has gone, ctx ends or the server has finished; a client that ends its sending alone is still
// told. The error is nil where the connection ended in order; conn is left to the caller to close.
func (s *Server) ServeStream(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	defer stop()
	soonAgain(conn)
	c := newClient(s)
	lines := frame.NewReader(conn, frame.Line, MaxLine)
	var reading sync.WaitGroup
	reading.Go(func() {
		c.read(lines.Read)
		<-c.done
		if c.ended.Load() {
			_, _ = io.Copy(io.Discard, conn) // what it still says must not make a reset of our close
		}
	})
	err := s.follow(ctx, &lineSink{conn: conn, client: c}, c.asks)
	if err == nil || errors.Is(err, errLast) {
		c.ended.Store(true)
		takeLeave(conn)
	} else {
		_ = conn.SetReadDeadline(longAgo)
	}
	close(c.done)
	reading.Wait()
	return c.outcome(ctx, err)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// leaveTime bounds how long a client whose connection ends in order may take to see that and close.
const leaveTime = 2 * time.Second

// takeLeave half-closes conn, and lets who reads from it do so for a while: closing with something unread would reset the
// connection, and the client might lose what it was sent last.
func takeLeave(conn net.Conn) {
	deadline := longAgo
	if tincan.CloseWrite(conn) == nil {
		deadline = time.Now().Add(leaveTime)
	}
	_ = conn.SetReadDeadline(deadline)
}

// A lineSink sends lines.
type lineSink struct {
	conn   net.Conn
	client *client
}

// buffers hold what is sent to a client at once.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, batchSize+4<<10)
	return &b
}}

// keptBuffer is the length up to which a buffer is used again.
const keptBuffer = 4 * batchSize

func (l *lineSink) changes(list []pending) error {
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	for _, p := range list {
		*b = append(p.c.appendTo(*b, p.missed), '\n')
	}
	_, err := l.conn.Write(*b)
	return err
}

func putBuffer(b *[]byte) {
	if *b = (*b)[:0]; cap(*b) <= keptBuffer {
		buffers.Put(b)
	}
}

func (l *lineSink) snapshot(object []byte, _ uint64) error { return l.fault(object) }

func (l *lineSink) fault(object []byte) error {
	const copied = 64 << 10 // up to which one call of the system is worth a copy
	if len(object) > copied {
		if _, err := l.conn.Write(object); err != nil {
			return err
		}
		object = nil
	}
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b = append(append(*b, object...), '\n')
	_, err := l.conn.Write(*b)
	return err
}

// idle finds out whether a client that has ended its sending has ended altogether: only a write can tell, and over a Unix socket
// one of nothing can too. Over TCP a close looks like a half-close until something is sent, a change or the system's keep-alive.
func (l *lineSink) idle() error {
	if !l.client.left.Load() {
		return nil
	}
	_, err := socketOf(l.conn).Write(nil)
	return err
}

// socketOf gives the socket below conn.
func socketOf(conn net.Conn) net.Conn {
	for {
		var below any
		switch c := any(conn).(type) {
		case interface{ Unwrap() tincan.Conn }:
			below = c.Unwrap()
		case interface{ NetConn() net.Conn }:
			below = c.NetConn()
		}
		next, ok := below.(net.Conn)
		if !ok {
			return conn
		}
		conn = next
	}
}
