package tincan

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// A Conn is what byte streams ([net.Conn]) and message connections
// ([MessageConn]) have in common, and what the capability functions take.
type Conn interface {
	Close() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// A MessageConn carries messages: bounded units that arrive whole or not at all.
//
// One ReadMessage and one WriteMessage may be under way at once, and Close at any time.
type MessageConn interface {
	Conn
	// ReadMessage waits for the next message, copies it into buf and gives its
	// length. An empty message has length 0 and a nil error; the peer's orderly
	// end, where the family has one, is [io.EOF]. A message longer than buf is
	// lost and the error is [io.ErrShortBuffer]. When ctx ends first the error
	// is ctx's, wrapped in a [*net.OpError], and no message is lost.
	ReadMessage(ctx context.Context, buf []byte) (n int, err error)
	// WriteMessage sends msg whole or fails. It blocks while the peer's queue
	// is full, until ctx ends. A msg that can never be sent is [ErrMessageTooLong].
	// The caller may reuse msg when the call has returned.
	WriteMessage(ctx context.Context, msg []byte) error
}

// A MessageListener accepts message connections: for datagrams one for each peer.
type MessageListener interface {
	// Accept waits for the next peer, until ctx ends or the listener is closed ([net.ErrClosed]).
	Accept(ctx context.Context) (MessageConn, error)
	// Close stops accepting and releases the address. Connections accepted
	// before live on; datagram peers, which share the listener's socket, end.
	Close() error
	// Addr gives the endpoint, which can be dialled.
	Addr() net.Addr
}

// A Transport opens byte streams of one or more schemes. An implementation
// dials a connection that it runs on (tcp for WebSocket, say) through d and
// listens through lc, with [Endpoint.Under], so that options, rules and traces hold there too.
// All methods may be called at once.
type Transport interface {
	// Dial connects to e and completes every handshake. ctx bounds it.
	Dial(ctx context.Context, d *Dialer, e *Endpoint) (net.Conn, error)
	// Listen binds e. The listener's Addr must be an [*Endpoint] that can be dialled.
	// A handshake must not hold up Accept; see [Handshake].
	Listen(ctx context.Context, lc *ListenConfig, e *Endpoint) (net.Listener, error)
}

// A MessageTransport opens message connections of one or more schemes; for
// the rest it is as a [Transport].
type MessageTransport interface {
	DialMessage(ctx context.Context, d *Dialer, e *Endpoint) (MessageConn, error)
	ListenMessage(ctx context.Context, lc *ListenConfig, e *Endpoint) (MessageListener, error)
}

// Config is what dialling and listening share. The zero value works.
type Config struct {
	// Options hold for every endpoint whose URL doesn't say otherwise.
	Options Options
	// TLS is the base of the TLS configuration; what the options name is set
	// on a copy. Nil means TLS 1.3 with the system's authorities.
	TLS *tls.Config
	// Transports and MessageTransports serve further schemes, by name, beside the built-in
	// tcp, udp, unix, unixgram, unixpacket, tls and mem; an entry replaces a built-in one.
	Transports        map[string]Transport
	MessageTransports map[string]MessageTransport
	// Trace is told each step.
	Trace *Trace
}

var (
	builtinTransports = map[string]Transport{
		"tcp": tcpTransport{}, "tcp4": tcpTransport{}, "tcp6": tcpTransport{},
		"unix":    unixTransport{},
		"tls+tcp": tlsTransport{}, "tls+unix": tlsTransport{},
		"mem": memTransport{},
	}
	builtinMessageTransports = map[string]MessageTransport{
		"udp": udpTransport{}, "udp4": udpTransport{}, "udp6": udpTransport{},
		"unixgram":   unixgramTransport{},
		"unixpacket": unixpacketTransport{},
		"mem":        memTransport{},
	}
)

// trace gives c's trace, never nil.
func (c *Config) trace() *Trace {
	if c.Trace == nil {
		return &Trace{}
	}
	return c.Trace
}

// transport finds the transport of e's scheme in own, then among the built-in ones.
func transport[T any](own, builtin map[string]T, op string, e *Endpoint, kind string) (T, error) {
	if t, ok := own[e.Scheme]; ok {
		return t, nil
	}
	if t, ok := builtin[e.Scheme]; ok {
		return t, nil
	}
	var none T
	s := schemeByName(e.Scheme)
	switch {
	case s == nil:
		return none, &EndpointError{Input: e.String(), Problem: fmt.Sprintf("unknown scheme %q", e.Scheme), Remedy: "schemes are " + schemeNames()}
	case kind == "streams" && !s.streams:
		return none, &EndpointError{Input: e.String(), Problem: e.Scheme + " carries messages, not a byte stream", Remedy: "use a stream scheme such as tcp or unix, or a call or command for messages"}
	case kind == "messages" && !s.messages:
		return none, &EndpointError{Input: e.String(), Problem: e.Scheme + " carries a byte stream, not messages", Remedy: "use a message scheme such as udp, unixgram or unixpacket, or a framing"}
	}
	return none, OpError(op, e, ErrNoTransport)
}
