package tincan

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
)

// udpTransport opens udp, udp4 and udp6.
type udpTransport struct{}

func (udpTransport) DialMessage(ctx context.Context, d *Dialer, e *Endpoint) (MessageConn, error) {
	nd := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, &e.Options) }}
	if e.Options.Local != "" {
		local, err := net.ResolveUDPAddr(e.Scheme, e.Options.Local)
		if err != nil {
			return nil, localError(e, err)
		}
		nd.LocalAddr = local
	}
	c, err := dialHosts(d.trace().dialContext(ctx), e, nd.DialContext)
	if err != nil {
		return nil, err
	}
	return messagesOver(c.(socket), e.Scheme, datagrams, maxDatagram, c.Close)
}

// messagesOver gives a message connection over s, or closes s.
func messagesOver(s socket, network string, kind messageKind, limit int, end func() error) (MessageConn, error) {
	c, err := newMessageConn(s, network, kind, limit, end)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return c, nil
}

func (udpTransport) ListenMessage(ctx context.Context, lc *ListenConfig, e *Endpoint) (MessageListener, error) {
	nlc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return errors.Join(setSocketOptions(c, &e.Options), setReusePort(c, &e.Options))
	}}
	return bindLoopbacks(e, func(host, port string) (packetSocket, string, error) {
		pc, err := nlc.ListenPacket(ctx, e.Scheme, net.JoinHostPort(host, port))
		if err != nil {
			return nil, "", err
		}
		c := pc.(*net.UDPConn)
		s, err := newUDPSocket(c, false)
		if err != nil {
			return nil, "", errors.Join(err, c.Close())
		}
		return s, strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port), nil
	}, func(addr *Endpoint, sockets ...packetSocket) MessageListener {
		return newFlowListener(lc, e, addr, unixPath{}, maxDatagram, sockets)
	})
}
