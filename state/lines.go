package state

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// A lineDial connects to a server that speaks in lines, or in messages that are lines.
type lineDial func(ctx context.Context, o *FollowOptions) (tincan.MessageConn, error)

// lineDialer tells how to connect to e.
func lineDialer(e *tincan.Endpoint) (lineDial, error) {
	switch e.Scheme {
	case "ws", "wss", "ws+unix":
		text := *e
		text.Options.Text = true
		return func(ctx context.Context, o *FollowOptions) (tincan.MessageConn, error) {
			return o.Dialer.DialMessageEndpoint(ctx, &text)
		}, nil
	}
	if !e.Streams() {
		return nil, &tincan.EndpointError{
			Input: e.String(), Problem: "a state is followed over a byte stream, and " + e.Scheme + " carries messages",
			Remedy: "use tcp, unix, tls, ws, http or https",
		}
	}
	return func(ctx context.Context, o *FollowOptions) (tincan.MessageConn, error) {
		conn, err := o.Dialer.DialEndpoint(ctx, e)
		if err != nil {
			return nil, err
		}
		return frame.NewConn(&tailConn{Conn: conn}, frame.Line, int(o.MaxLine)), nil
	}, nil
}

// A tailConn knows whether its stream ended inside a line, which package frame gives as one: a line that
// is no object, because the rest of it never came, is not the server's fault.
type tailConn struct {
	net.Conn
	cut, ended bool
}

func (c *tailConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.cut = p[n-1] != '\n'
	}
	c.ended = errors.Is(err, io.EOF)
	return n, err
}

// Unwrap shows the capability functions the connection inside.
func (c *tailConn) Unwrap() tincan.Conn { return c.Conn }

// endedInLine reports whether conn ended inside a line. It is for whoever reads.
func endedInLine(conn tincan.MessageConn) bool {
	framed, ok := conn.(*frame.Conn)
	if !ok {
		return false // a message is whole
	}
	tail := framed.Unwrap().(*tailConn)
	return tail.ended && tail.cut
}

// A lineSource reads the server's lines.
type lineSource struct {
	conn    tincan.MessageConn
	lines   messageReader
	skip    int // snapshots that are not what was asked for, and what comes before them
	release func() bool
}

// openLines connects, and asks for the prefixes.
func openLines(ctx context.Context, o *FollowOptions, dial lineDial) (source, error) {
	conn, err := dial(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &lineSource{conn: conn, lines: messageReader{conn: conn, limit: int(o.MaxLine)}}
	s.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if len(newPrefixes(o.Prefixes)) > 0 {
		s.skip = 1
		if err := conn.WriteMessage(ctx, keysLine(o.Prefixes)); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// keysLine is the line that asks for prefixes.
func keysLine(list []string) []byte {
	line, err := json.Marshal(struct {
		Keys []string `json:"keys"`
	}{list})
	if err != nil {
		panic(err) // strings always encode
	}
	return line
}

// next gives the next update. An end of the connection is [io.ErrUnexpectedEOF], for a state has none, in a line too.
func (s *lineSource) next() (Update, error) {
	for {
		line, err := s.lines.next(context.Background())
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Update{}, err
		}
		if len(line) == 0 {
			continue
		}
		u, err := parseUpdate(line)
		switch {
		case errors.Is(err, ErrProtocol) && endedInLine(s.conn):
			return Update{}, io.ErrUnexpectedEOF
		case err != nil:
			return Update{}, err
		case s.skip == 0:
			return u, nil
		case u.Snapshot != nil:
			s.skip--
		}
	}
}

func (s *lineSource) close() {
	if s.release() {
		_ = s.conn.Close()
	}
}
