package relay

import (
	"context"
	"net"
	"strings"

	"github.com/pires/go-proxyproto"

	"github.com/tincan-ipc/tincan"
)

// SendHeader begins each connection that is dialled over tcp or a Unix stream
// socket with a header of the PROXY protocol, below TLS and WebSocket. It names
// the client that a [Forwarder] connects for, by its addresses: those that an
// [AcceptHeader] was told, where there is one. Version 1 knows TCP alone, and
// calls all else UNKNOWN; version 2 also names peers of UDP and Unix stream sockets, and calls all
// else, as well as a connection for no client, LOCAL. It is a [tincan.Transport].
//
// The source is HAProxy's "The PROXY protocol, versions 1 & 2".
type SendHeader struct {
	// Version is 1 or 2. Zero means 2.
	Version int
	lower   lower
}

// AddTo makes c dial as s says. A [Proxy] is added before, so that the header goes through it.
func (s SendHeader) AddTo(c *tincan.Config) {
	s.lower = addTo(c, &s, headerSchemes...)
}

// headerSchemes are those that a header can come over: the streams that others run on.
var headerSchemes = []string{"tcp", "tcp4", "tcp6", "unix"}

// Dial connects to e and sends the header.
func (s *SendHeader) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	header, err := s.format(clientOf(ctx))
	if err != nil {
		return nil, err
	}
	c, err := s.lower.dial(ctx, d, e)
	if err != nil {
		return nil, err
	}
	err = bounded(ctx, c, func() error {
		_, err := c.Write(header)
		return err
	})
	if err != nil {
		_ = c.Close()
		return nil, tincan.OpError("dial", e, err)
	}
	return c, nil
}

// Listen listens as without s.
func (s *SendHeader) Listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return s.lower.listen(ctx, lc, e)
}

// format gives the header for client, which may be nil.
func (s *SendHeader) format(client tincan.Conn) ([]byte, error) {
	var from, to net.Addr
	if client != nil {
		from, to = headerAddr(client.RemoteAddr()), headerAddr(client.LocalAddr())
	}
	version := byte(2)
	if s.Version == 1 {
		version = 1
	}
	return proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
}

// headerAddr gives a as a header has it.
func headerAddr(a net.Addr) net.Addr {
	if u, ok := a.(*net.UnixAddr); ok && strings.HasPrefix(u.Name, "@") {
		return &net.UnixAddr{Net: u.Net, Name: "\x00" + u.Name[1:]} // Linux's abstract namespace, unix(7)
	}
	return a
}

type clientKey struct{}

// withClient makes ctx tell for whom a connection is dialled.
func withClient(ctx context.Context, client tincan.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

func clientOf(ctx context.Context) tincan.Conn {
	c, _ := ctx.Value(clientKey{}).(tincan.Conn)
	return c
}
