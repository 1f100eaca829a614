//go:build !linux

package tincan

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// systemCall: the standard library makes the system calls here.
type systemCall struct{}

func (c *messageConn) prepare() error { return nil }

// receive gives the length of the next message, which is more than buf's where it was cut.
func (c *messageConn) receive(buf []byte) (int, error) {
	var (
		n, flags int
		err      error
	)
	switch s := c.socket.(type) {
	case *net.UDPConn:
		n, _, flags, _, err = s.ReadMsgUDPAddrPort(buf, nil)
	case *net.UnixConn:
		n, _, flags, _, err = s.ReadMsgUnix(buf, nil)
	}
	switch {
	case wasCut(flags, err):
		return len(buf) + 1, nil
	case err != nil:
		return 0, readError(err)
	case c.kind == packets && n == 0 && len(buf) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (c *messageConn) send(msg []byte) error {
	if c.kind == packets && len(msg) == 0 {
		return fmt.Errorf("an empty message, which the peer would take for the end: %w", errors.ErrUnsupported)
	}
	var err error
	switch s := c.socket.(type) {
	case *net.UDPConn:
		_, _, err = s.WriteMsgUDPAddrPort(msg, nil, netip.AddrPort{})
	case *net.UnixConn:
		_, _, err = s.WriteMsgUnix(msg, nil, nil)
	}
	return err
}
