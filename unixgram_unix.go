//go:build unix

package tincan

import (
	"context"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// DialMessage gives the socket a name of its own, without which the peer could not answer.
func (unixgramTransport) DialMessage(ctx context.Context, d *Dialer, e *Endpoint) (MessageConn, error) {
	if err := checkAbstract(e); err != nil {
		return nil, err
	}
	var name localName
	nd := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) (err error) {
			name, err = bindLocal(fd, e)
			return err
		})
	}}
	c, err := nd.DialContext(d.trace().dialContext(ctx), e.Scheme, e.Path)
	if err != nil {
		return nil, errors.Join(err, name.remove())
	}
	return messagesOver(c.(socket), e.Scheme, datagrams, 0, func() error {
		return errors.Join(name.remove(), c.Close()) // in this order, see unixListener.Close
	})
}

// bindLocal binds the socket to the name of the local option, or to one of its own.
func bindLocal(fd int, e *Endpoint) (localName, error) {
	if e.Options.Local == "" {
		if err := sizeBuffers(fd, &e.Options); err != nil {
			return localName{}, err
		}
		return bindAny(fd)
	}
	local := *e
	local.Path = e.Options.Local
	if err := checkAbstract(&local); err != nil {
		return localName{}, err
	}
	path, err := bindSocket(fd, &local, unix.SOCK_DGRAM, nil)
	return localName{unixPath: path}, err
}

func (unixgramTransport) ListenMessage(_ context.Context, lc *ListenConfig, e *Endpoint) (MessageListener, error) {
	file, path, err := bindUnix(e, unix.SOCK_DGRAM, nil)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the connection has a descriptor of its own
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil, errors.Join(err, path.remove())
	}
	s, err := newUnixgramSocket(c.(*net.UnixConn))
	if err != nil {
		return nil, errors.Join(err, path.remove(), c.Close())
	}
	return newFlowListener(lc, e, e.boundAddr(), path, 0, []packetSocket{s}), nil
}
