//go:build !linux

package tincan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	case errors.Is(err, io.EOF): // of packets alone; the standard library takes each of length 0 for the end
		return 0, io.EOF
	case err != nil:
		return 0, readError(err)
	}
	return n, nil
}

// held tells whether a message is there that was read along with an earlier one: none is here.
func (c *messageConn) held() (bool, error) { return false, nil }

// NextSize is for the function [NextSize]. The length itself can't be asked for everywhere, but no datagram is longer.
func (c *messageConn) NextSize(ctx context.Context) (int, error) {
	if err := c.WaitReadable(ctx); err != nil {
		return 0, err
	}
	if c.isUDP() {
		return longestDatagram, nil
	}
	return 4 * longestDatagram, nil
}

func (c *messageConn) send(msg []byte) error {
	if c.kind == packets && len(msg) == 0 {
		return fmt.Errorf("an empty message, which the peer would take for the end: %w", errors.ErrUnsupported)
	}
	_, err := c.socket.Write(msg)
	return err
}
