// Package ws carries tincan's byte streams and messages over WebSocket
// (RFC 6455): ws://host:port/path, wss:// over TLS and ws+unix: over a Unix socket.
//
// The scheme is not built in. A program that wants it says so:
//
//	var d tincan.Dialer
//	ws.AddTo(&d.Config)
//	c, err := d.Dial(ctx, "ws://localhost:8080/echo")
//
// # What the options do
//
// The path of the URL is the path of the request; a listener answers any other
// with 404. Query, Origin and Subprotocol are sent with the request, and where a
// subprotocol is named both sides must agree on it. A listener serves programs,
// which send no Origin, and browsers whose page came from the same host or
// from the host that Origin names. Text sends text messages in place of binary
// ones; both kinds are received. MaxMessage bounds a message, HandshakeTimeout the upgrade.
//
// # Streams
//
// Each Write is one or more messages, and their boundaries mean nothing to the
// reader. A peer that sends a close frame (status 1000, 1001 or none) reads as
// [io.EOF]; another status is an error that holds a [websocket.CloseError]; a
// connection that ends without one, as [tincan.Abort] ends it, is
// [io.ErrUnexpectedEOF]. WebSocket has no half-close, so [tincan.CloseWrite]
// answers [errors.ErrUnsupported].
//
// Deadlines may pass and be moved again, as with TCP. What a Write had begun
// to send when its deadline passed, a message of up to 32 KiB, counts as written and
// goes out with the next Write or with Close; only over TLS, whose records can't be
// resumed, does a missed write deadline end the sending side for good.
//
// # Costs
//
// A connection has one goroutine, which reads ahead by one message (of a stream:
// by up to 32 KiB) and so answers pings and close frames while nobody reads. It
// is what lets a read be given up without losing a message: the library below
// closes a connection whose read is cancelled.
package ws

import (
	"context"
	"net"

	"github.com/tincan-ipc/tincan"
)

// Transport opens ws, wss and ws+unix, as byte streams and as messages. It is
// a [tincan.Transport] and a [tincan.MessageTransport]; the zero value works.
type Transport struct{}

var (
	_ tincan.Transport        = Transport{}
	_ tincan.MessageTransport = Transport{}
)

// AddTo makes c open ws, wss and ws+unix, adding a [Transport] for each to its
// Transports and MessageTransports.
func AddTo(c *tincan.Config) {
	if c.Transports == nil {
		c.Transports = map[string]tincan.Transport{}
	}
	if c.MessageTransports == nil {
		c.MessageTransports = map[string]tincan.MessageTransport{}
	}
	for _, scheme := range []string{"ws", "wss", "ws+unix"} {
		c.Transports[scheme] = Transport{}
		c.MessageTransports[scheme] = Transport{}
	}
}

// Dial connects to e's endpoint below and upgrades that connection. A refused
// upgrade is a [*tincan.HandshakeError] that holds a [*StatusError].
func (Transport) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	lower, err := dialUnder(ctx, d, e)
	if err != nil {
		return nil, err
	}
	s := newStream(lower, e, d.Trace)
	if err := s.dial(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// DialMessage is as Dial, for messages.
func (Transport) DialMessage(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (tincan.MessageConn, error) {
	lower, err := dialUnder(ctx, d, e)
	if err != nil {
		return nil, err
	}
	m := newMessages(lower, e, d.Trace)
	if err := m.dial(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

func dialUnder(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	under, _ := e.Under()
	return d.DialEndpoint(ctx, under)
}

// Listen binds e's endpoint below. A connection is upgraded by its first Read
// or Write, or by [tincan.Handshake].
func (Transport) Listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return listen(ctx, lc, e)
}

// ListenMessage is as Listen, for messages.
func (Transport) ListenMessage(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (tincan.MessageListener, error) {
	ln, err := listen(ctx, lc, e)
	if err != nil {
		return nil, err
	}
	return newMessageListener(ln), nil
}
