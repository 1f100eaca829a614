package service

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A MessageHandler answers one message. A nil reply sends nothing, an empty
// one an empty message; an error ends the peer's connection. It may be called
// for many peers at once, for the messages of one in their order.
//
// request is valid until the handler returns, may be overwritten, and a part of it may be the reply.
// ctx is as for a [StreamHandler], and [Peer] tells who asks.
type MessageHandler func(ctx context.Context, request []byte) (reply []byte, err error)

// ServeMessages is as [Server.Serve] for messages: h answers each. In a drain
// what was sent before it began is still answered; a peer that is silent for a moment is then finished with.
func (s *Server) ServeMessages(ctx context.Context, l tincan.MessageListener, h MessageHandler) error {
	g := newGroup(ctx, s)
	return g.serveMessages(ctx, l, func(accepting context.Context) error {
		if s != nil && s.Inline {
			err := tincan.ServeDatagrams(accepting, l, g.inline(l, h))
			if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		return g.acceptMessages(accepting, l, func(c *connection, conn tincan.MessageConn) error { return c.answer(ctx, conn, h) })
	})
}

// A MessageConnHandler serves one message connection until it ends. The rest is as for a [StreamHandler].
type MessageConnHandler func(ctx context.Context, conn tincan.MessageConn) error

// ServeMessageConns is as [Server.Serve] for message connections, of datagrams one for each
// peer. The server's timeouts don't learn of what passes: IdleTimeout must be zero.
func (s *Server) ServeMessageConns(ctx context.Context, l tincan.MessageListener, h MessageConnHandler) error {
	g := newGroup(ctx, s)
	return g.serveMessages(ctx, l, func(accepting context.Context) error {
		return g.acceptMessages(accepting, l, func(c *connection, conn tincan.MessageConn) error { return h(c, conn) })
	})
}

// serveMessages runs accept, with a context that ends when accepting must, and drains.
func (g *group) serveMessages(ctx context.Context, l tincan.MessageListener, accept func(accepting context.Context) error) error {
	if sharesSocket(l) {
		// Closing the listener would end the flows that are to be drained, and
		// what its socket has received is still to be answered.
		defer func() { _ = l.Close() }()
		accepting, cancel := endLater(ctx, min(drainQuiet, g.drainLimit()))
		defer cancel()
		return g.run(ctx, stopping{begin: func() {}, end: func() {}}, func() error { return accept(accepting) })
	}
	accepting := context.WithoutCancel(ctx) // what ends it is that l gives no more
	return g.run(ctx, g.drainListener(l), func() error { return accept(accepting) })
}

// acceptMessages serves each connection by handle, until accepting ends.
func (g *group) acceptMessages(accepting context.Context, l tincan.MessageListener, handle func(*connection, tincan.MessageConn) error) error {
	if !sharesSocket(l) {
		g.slots = g.server.Slots
	}
	for pause := (pause{}); ; {
		conn, err := l.Accept(accepting)
		switch {
		case err != nil && !pause.cures(accepting, err):
			return err
		case err != nil:
			continue
		case !g.takeSlot():
			turnAway(conn)
			return net.ErrClosed
		}
		pause.reset()
		g.start(conn, func(c *connection) error { return handle(c, conn) })
	}
}

// endLater gives a context that ends so long after ctx. The function it gives ends it at once.
func endLater(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(after):
			cancel()
		case <-later.Done():
		}
	})
	return later, func() {
		stop()
		cancel()
	}
}

// sharesSocket reports whether l's peers all live on its one socket.
func sharesSocket(l tincan.MessageListener) bool {
	switch l.Addr().Network() {
	case "udp", "udp4", "udp6", "unixgram":
		return true
	}
	return false
}

// answer reads requests from conn and writes replies until either ends.
func (c *connection) answer(accepting context.Context, conn tincan.MessageConn, h MessageHandler) error {
	for {
		err := c.answerOne(accepting, conn, h)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// answerOne holds a buffer only from when there is something to read, where
// the family can tell, so that an idle peer costs little.
func (c *connection) answerOne(accepting context.Context, conn tincan.MessageConn, h MessageHandler) error {
	if err := tincan.WaitReadable(accepting, conn); err != nil && !errors.Is(err, errors.ErrUnsupported) && accepting.Err() == nil {
		return err
	}
	buf := c.group.buffers.Get().(*[]byte)
	defer c.group.buffers.Put(buf)
	n, err := c.receive(accepting, conn, *buf)
	if err != nil {
		return err
	}
	c.passed(int64(n), 0)
	reply, err := h(c, (*buf)[:n])
	if err != nil || reply == nil {
		return err
	}
	if err := conn.WriteMessage(c, reply); err != nil {
		return err
	}
	c.passed(0, int64(len(reply)))
	return nil
}

// receive reads one request. When accepting has ended it gives io.EOF as soon as the peer is quiet.
func (c *connection) receive(accepting context.Context, conn tincan.MessageConn, buf []byte) (int, error) {
	if accepting.Err() == nil {
		n, err := conn.ReadMessage(accepting, buf)
		if err == nil || accepting.Err() == nil {
			return n, err
		}
	}
	quiet, cancel := context.WithTimeout(c, drainQuiet)
	defer cancel()
	n, err := conn.ReadMessage(quiet, buf)
	if err != nil && quiet.Err() != nil && c.Err() == nil {
		return 0, io.EOF
	}
	return n, err
}

// A request is the context of one datagram.
type request struct {
	context.Context
	group    *group
	datagram *tincan.Datagram
}

func (r *request) Value(key any) any {
	switch key.(type) {
	case peerKey:
		return r.datagram.From()
	case groupKey:
		return r.group
	}
	return r.Context.Value(key)
}

// inline makes h an answer function of [tincan.ServeDatagrams].
func (g *group) inline(l tincan.MessageListener, h MessageHandler) func(*tincan.Datagram) []byte {
	requests := sync.Pool{New: func() any { return &request{Context: g.ctx, group: g} }}
	return func(d *tincan.Datagram) []byte {
		r := requests.Get().(*request)
		r.datagram = d
		reply, err := callRecovering(r, h, d.Payload)
		if err != nil {
			reply = nil
			if f := g.trace.Refused; f != nil {
				f(l.Addr(), d.From(), err)
			}
		}
		r.datagram = nil
		requests.Put(r)
		return reply
	}
}

func callRecovering(ctx context.Context, h MessageHandler, payload []byte) (reply []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(v)
		}
	}()
	return h(ctx, payload)
}
