//go:build !linux

package tincan

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
)

// longestDatagram holds any UDP datagram; Unix sockets take less by default.
const longestDatagram = 64 << 10

// plainSocket is the packetSocket of the systems for which the standard
// library makes the calls, a datagram each. A route is the peer's address. The
// reply of a socket bound to every interface leaves from the address that the system chooses.
type plainSocket struct {
	socket
	buf   []byte // of the one reader
	route []byte // scratch of the same
	one   [1][]byte
}

func newUDPSocket(c *net.UDPConn) (packetSocket, error) { return &plainSocket{socket: c}, nil }

// next waits for a datagram.
func (s *plainSocket) next() (payload []byte, cut bool, err error) {
	if s.buf == nil {
		s.buf = make([]byte, longestDatagram)
	}
	var n, flags int
	switch c := s.socket.(type) {
	case *net.UDPConn:
		var from netip.AddrPort
		n, _, flags, from, err = c.ReadMsgUDPAddrPort(s.buf, nil)
		s.route, _ = from.AppendBinary(s.route[:0]) // never fails
	case *net.UnixConn:
		var from *net.UnixAddr
		n, _, flags, from, err = c.ReadMsgUnix(s.buf, nil)
		s.route = s.route[:0]
		if from != nil {
			s.route = append(s.route, from.Name...)
		}
	}
	switch {
	case wasCut(flags, err):
		return s.buf, true, nil
	case err != nil:
		return nil, false, err
	}
	return s.buf[:n], false, nil
}

func (s *plainSocket) receive(deliver func(route []byte, msgs [][]byte, cut bool)) error {
	payload, cut, err := s.next()
	if err == nil {
		s.one[0] = payload
		deliver(s.route, s.one[:], cut)
	}
	return err
}

func (s *plainSocket) answer(h *datagramHandler) error {
	payload, cut, err := s.next()
	switch {
	case err != nil:
		return err
	case h.admit != nil && !h.admit(s.route):
		return nil
	case cut:
		h.lost(s.route, len(payload))
		return nil
	}
	reply := h.answer(&Datagram{Payload: payload, from: func() net.Addr { return s.remote(s.route) }})
	if reply != nil && len(s.route) > 0 {
		if err := s.send(s.route, reply); errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

func (s *plainSocket) send(route, msg []byte) error {
	c, ok := s.socket.(*net.UDPConn)
	if !ok {
		return sendUnix(s.socket, string(route), msg)
	}
	_, err := c.WriteToUDPAddrPort(msg, addrPort(route))
	return err
}

func (s *plainSocket) remote(route []byte) net.Addr {
	switch s.socket.(type) {
	case *net.UDPConn:
		a := addrPort(route)
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	if len(bytes.TrimLeft(route, "\x00")) == 0 {
		return nil
	}
	return &net.UnixAddr{Net: "unixgram", Name: string(route)}
}

func (s *plainSocket) local([]byte) net.Addr { return s.LocalAddr() }

func (s *plainSocket) source(route []byte) netip.Addr {
	if _, ok := s.socket.(*net.UDPConn); !ok {
		return netip.Addr{}
	}
	return addrPort(route).Addr().Unmap().WithZone("")
}

// addrPort reads what next wrote.
func addrPort(route []byte) netip.AddrPort {
	var a netip.AddrPort
	_ = a.UnmarshalBinary(route)
	return a
}
