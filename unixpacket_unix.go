//go:build unix

package tincan

import (
	"context"
	"errors"
	"net"
	"syscall"
)

func (unixpacketTransport) DialMessage(ctx context.Context, d *Dialer, e *Endpoint) (MessageConn, error) {
	if err := checkAbstract(e); err != nil {
		return nil, err
	}
	nd := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return errors.Join(setSocketOptions(c, &e.Options), control(c, nameSocket))
	}}
	c, err := dialUnix(d.trace().dialContext(ctx), &nd, e)
	if err != nil {
		return nil, err
	}
	return messagesOver(c.(socket), e.Scheme, packets, 0, c.Close)
}

func (unixpacketTransport) ListenMessage(_ context.Context, lc *ListenConfig, e *Endpoint) (MessageListener, error) {
	ln, err := listenUnix(e, syscall.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	return newPacketListener(lc, e, ln.(*unixListener)), nil
}
