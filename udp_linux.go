package tincan

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// newUDPSocket serves many peers over c. Where c is bound to every interface, each
// datagram comes with the address that it was sent to, from which the reply then leaves
// (ip(7), IP_PKTINFO; RFC 3542 §6). Otherwise the peer would take it for someone else's.
func newUDPSocket(c *net.UDPConn) (packetSocket, error) {
	bound := c.LocalAddr().(*net.UDPAddr)
	s, err := newBatchSocket(c, udpSlot, true)
	if err != nil || !bound.IP.IsUnspecified() {
		return s, err
	}
	s.withControl = true
	return s, control(s.raw, func(fd int) error {
		family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return err
		}
		if family == unix.AF_INET {
			return setInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		return setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) // IPv4 peers of the socket included
	})
}

const (
	// udpSlot holds any UDP datagram, of which 65,527 bytes are the longest.
	udpSlot = 64 << 10
	// pktinfoSpace holds one control message with a struct in6_pktinfo, the larger of the two.
	pktinfoSpace = (unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo + 7) &^ 7
)

// replyControl makes of the control messages that came with a datagram the one
// for its reply, in place, and gives what of it is to be sent. Twice gives the same. The reply's
// interface is left to the routing table, unless the address is one that only counts there.
func replyControl(oob []byte) []byte {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return nil
		}
		oob = oob[:len(oob)-len(rest)]
		clear(oob[min(int(h.Len), len(oob)):]) // padding, which the kernel leaves as it was: it must not tell one route from itself
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			clear(data[:4])                        // interface
			clear(data[8:unix.SizeofInet4Pktinfo]) // destination, a group or broadcast address perhaps: the address before is ours
			return oob
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			addr := netip.AddrFrom16([16]byte(data))
			if addr.Unmap().IsMulticast() {
				return nil
			}
			if !addr.IsLinkLocalUnicast() {
				clear(data[16:unix.SizeofInet6Pktinfo]) // interface
			}
			return oob
		}
		oob = rest
	}
	return nil
}

// controlAddr gives the address in a control message from replyControl.
func controlAddr(oob []byte) (addr netip.Addr, zone uint32) {
	h, data, _, err := unix.ParseOneSocketControlMessage(oob)
	switch {
	case err != nil:
		return netip.Addr{}, 0
	case h.Level == unix.IPPROTO_IP:
		return netip.AddrFrom4([4]byte(data[4:8])), 0
	}
	return netip.AddrFrom16([16]byte(data)).Unmap(), binary.NativeEndian.Uint32(data[16:])
}

// rawAddrPort reads a struct sockaddr_in or sockaddr_in6.
func rawAddrPort(name []byte) (addr netip.Addr, zone uint32, port uint16) {
	switch {
	case len(name) >= unix.SizeofSockaddrInet6 && addrFamily(name) == unix.AF_INET6:
		return netip.AddrFrom16([16]byte(name[8:24])).Unmap(), binary.NativeEndian.Uint32(name[24:]), binary.BigEndian.Uint16(name[2:])
	case len(name) >= unix.SizeofSockaddrInet4 && addrFamily(name) == unix.AF_INET:
		return netip.AddrFrom4([4]byte(name[4:8])), 0, binary.BigEndian.Uint16(name[2:])
	}
	return netip.Addr{}, 0, 0
}

// addrFamily gives a socket address's family, AF_UNSPEC where there is none.
func addrFamily(name []byte) uint16 {
	if len(name) < 2 {
		return unix.AF_UNSPEC
	}
	return binary.NativeEndian.Uint16(name)
}

// udpAddr makes a net.UDPAddr, with the interface's name as zone.
func udpAddr(addr netip.Addr, zone uint32, port uint16) *net.UDPAddr {
	a := &net.UDPAddr{IP: addr.AsSlice(), Port: int(port)}
	if zone != 0 && addr.IsLinkLocalUnicast() {
		a.Zone = zoneName(zone)
	}
	return a
}

func zoneName(index uint32) string {
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
