package cli

import (
	"context"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/dash"
	"github.com/tincan-ipc/tincan/internal/narrate"
	"github.com/tincan-ipc/tincan/service"
)

// streams counts the clients that come from ln, and what they send and are sent. [served.hooks] learn
// of their ends. A nil s leaves ln as it is.
func (s *served) streams(ln net.Listener) net.Listener {
	if s == nil {
		return ln
	}
	return &countedListener{ln, s}
}

// messages is streams for messages.
func (s *served) messages(ln tincan.MessageListener) tincan.MessageListener {
	if s == nil {
		return ln
	}
	return &countedMessageListener{ln, s}
}

// hooks gives t with the counting of what it is told: peers that were turned away, messages that were dropped, the ends of
// connections. A nil s leaves t as it is.
func (s *served) hooks(t *tincan.Trace) *tincan.Trace {
	if s == nil {
		return t
	}
	t = narrate.Join(t, s.shown().Trace())
	counting := *t
	counting.Refused = func(listener, remote net.Addr, err error) {
		s.failed(err)
		if t.Refused != nil {
			t.Refused(listener, remote, err)
		}
	}
	counting.Dropped = func(listener, remote net.Addr, size int) {
		s.dropped.Add(1)
		if t.Dropped != nil {
			t.Dropped(listener, remote, size)
		}
	}
	counting.Closed = func(conn tincan.Conn, received, sent int64, err error) {
		if who, ok := clientOf(conn); ok {
			s.left(who, err)
		}
		if t.Closed != nil {
			t.Closed(conn, received, sent, err)
		}
	}
	return &counting
}

// clientOf gives the client whose connection a listener that counts gave.
func clientOf(conn tincan.Conn) (who *client, ok bool) {
	switch c := conn.(type) {
	case *countedStream:
		return c.client, true
	case *countedMessages:
		return c.client, true
	}
	return nil, false
}

// A countedListener gives counted connections.
type countedListener struct {
	net.Listener
	served *served
}

func (l *countedListener) Drain() error { return tincan.Drain(l.Listener) }

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.served.stream(conn), nil
}

// stream counts one client, which has come. [served.hooks] learn of its end. A nil s leaves it as it is.
func (s *served) stream(conn net.Conn) net.Conn {
	if s == nil {
		return conn
	}
	c := &countedStream{Conn: conn}
	c.client = s.enter(c, &c.traffic)
	return c
}

// A countedMessageListener gives counted connections.
type countedMessageListener struct {
	tincan.MessageListener
	served *served
}

func (l *countedMessageListener) Drain() error { return tincan.Drain(l.MessageListener) }

func (l *countedMessageListener) Accept(ctx context.Context) (tincan.MessageConn, error) {
	conn, err := l.MessageListener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return l.served.message(conn), nil
}

// message is stream for messages.
func (s *served) message(conn tincan.MessageConn) tincan.MessageConn {
	if s == nil {
		return conn
	}
	c := &countedMessages{MessageConn: conn}
	c.client = s.enter(c, &c.traffic)
	return c
}

// count counts bytes of a client, and of all, that a system call has moved.
func (who *client) count(received, sent int, call string) {
	who.record.Passed(int64(received), int64(sent), call)
	who.received.Add(int64(received))
	who.sent.Add(int64(sent))
	who.served.received.Add(int64(received))
	who.served.sent.Add(int64(sent))
}

// A countedStream counts what passes, as it does.
type countedStream struct {
	net.Conn
	traffic traffic
	client  *client
}

// Unwrap shows the capability functions the connection inside.
func (c *countedStream) Unwrap() tincan.Conn { return c.Conn }

// Passed counts what package relay moves on the socket itself.
func (c *countedStream) Passed(received, sent int64, spliced bool) {
	call := "" // read(2), write(2)
	if spliced {
		call = "splice(2)"
	}
	c.client.count(int(received), int(sent), call)
}

func (c *countedStream) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.client.count(max(n, 0), 0, "read(2)")
	return n, err
}

func (c *countedStream) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.client.count(0, max(n, 0), "write(2)")
	return n, err
}

// A countedMessages is a countedStream of messages.
type countedMessages struct {
	tincan.MessageConn
	traffic traffic
	client  *client
	asked   time.Time // when the last request was read, of a service that answers one after the other
}

// Unwrap shows the capability functions the connection inside.
func (c *countedMessages) Unwrap() tincan.Conn { return c.MessageConn }

func (c *countedMessages) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	n, err := c.MessageConn.ReadMessage(ctx, buf)
	if err == nil {
		c.client.count(n, 0, "recvmsg(2)")
		if c.client.served.answers {
			c.asked = time.Now()
		}
	}
	return n, err
}

func (c *countedMessages) WriteMessage(ctx context.Context, msg []byte) error {
	err := c.MessageConn.WriteMessage(ctx, msg)
	if err == nil {
		c.client.count(0, len(msg), "sendmsg(2)")
		c.replied()
	}
	return err
}

// replied tells the dashboard how long the request took that a service has answered.
func (c *countedMessages) replied() {
	if s := c.client.served; s.answers {
		s.shown().Took(dash.Reply, time.Since(c.asked))
	}
}

// answering counts the requests that h answers and, where there is no connection that does, their bytes. A nil s leaves h as it is.
func (s *served) answering(h service.MessageHandler, bytes bool) service.MessageHandler {
	if s == nil {
		return h
	}
	return func(ctx context.Context, request []byte) ([]byte, error) {
		received := len(request)
		reply, err := h(ctx, request)
		if err == nil {
			s.requests.Add(1)
		}
		if bytes {
			s.received.Add(int64(received))
			s.sent.Add(int64(len(reply)))
		}
		return reply, err
	}
}
