package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan"
)

// A tuple is what tells connections in a file apart: by side, not by who sends.
type tuple struct {
	udp  bool
	addr [2]netip.AddrPort
}

// sorted gives the same tuple for both directions.
func (t tuple) sorted() tuple {
	if t.addr[First].Compare(t.addr[Second]) > 0 {
		t.addr[First], t.addr[Second] = t.addr[Second], t.addr[First]
	}
	return t
}

// tupleOf gives the addresses that connection number n shows with: the
// sides' own, and made-up ones where they have none. taken tells which tuples are in use.
func tupleOf(kind Kind, first, second net.Addr, n uint64, taken func(tuple) bool) tuple {
	t := tuple{udp: kind == Messages && (isUDP(first) || isUDP(second))}
	own := [2]netip.AddrPort{addrPort(first), addrPort(second)}
	ipv6 := own[First].Addr().Is6() || own[Second].Addr().Is6()
	for side, a := range own {
		switch {
		case !a.IsValid():
			a = madeUp(Side(side), n, ipv6)
		case ipv6: // a packet has one version: an IPv4 address shows as ::ffff:a.b.c.d
			a = netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
		}
		t.addr[side] = a
	}
	if t.addr[First] == t.addr[Second] || taken(t) {
		t.addr[First] = madeUp(First, n, ipv6)
	}
	return t
}

// madeUp gives an address of a documentation range and a port that few
// dissectors lay claim to, together unique for the first four million connections
// of a file over IPv4. Later ones are told apart by their SYN.
func madeUp(side Side, n uint64, ipv6 bool) netip.AddrPort {
	const firstPort, ports, hosts = 49152, 16384, 254
	port := uint16(firstPort + n%ports)
	if ipv6 {
		ip := [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 5: byte(side) + 1}
		binary.BigEndian.PutUint64(ip[8:], n/ports+1)
		return netip.AddrPortFrom(netip.AddrFrom16(ip), port)
	}
	ip := [4]byte{192, 0, 2, 0}
	if side == Second {
		ip = [4]byte{198, 51, 100, 0}
	}
	ip[3] = byte(1 + n/ports%hosts)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), port)
}

// addrPort gives the IP address and port of a, the zero value where it has none.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *tincan.Endpoint:
		ap, _ = netip.ParseAddrPort(net.JoinHostPort(a.Host, a.Port)) // a name gives none
	default:
		if strings.HasPrefix(a.Network(), "tcp") || isUDP(a) {
			ap, _ = netip.ParseAddrPort(a.String())
		}
	}
	if ap.Port() == 0 || ap.Addr().IsUnspecified() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

func isUDP(a net.Addr) bool { return a != nil && strings.HasPrefix(a.Network(), "udp") }

// maxName bounds an endpoint's name in a comment: an option of pcapng has at most 65,535 bytes.
const maxName = 8 << 10

// nameOf gives the name of a as the comment has it: the URL where there is one.
func nameOf(a net.Addr) string {
	if a == nil {
		return "unnamed"
	}
	name := a.String()
	if network := a.Network(); !strings.HasPrefix(name, network+":") {
		separator := ":"
		if addrPort(a).IsValid() {
			separator = "://"
		}
		name = network + separator + name
	}
	name = name[:min(len(name), maxName)]
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return name
}

// A label is what the comment of a connection's first packet says.
type label struct {
	kind   Kind
	number uint64
	addr   [2]netip.AddrPort
	name   [2]string
}

func (l label) String() string {
	return fmt.Sprintf("tincan %s %d\nfirst %s %s\nsecond %s %s", l.kind, l.number, l.addr[First], l.name[First], l.addr[Second], l.name[Second])
}

// parseLabel reads what String wrote; ok is false for any other comment.
func parseLabel(comment string) (l label, ok bool) {
	lines := strings.Split(comment, "\n")
	if len(lines) != 3 {
		return l, false
	}
	var kind string
	if n, err := fmt.Sscanf(lines[0], "tincan %s %d", &kind, &l.number); n != 2 || err != nil {
		return l, false
	}
	for _, k := range []Kind{Stream, Messages} {
		if kind == k.String() {
			l.kind, ok = k, true
		}
	}
	for _, side := range []Side{First, Second} {
		word, rest, _ := strings.Cut(lines[1+side], " ")
		addr, name, _ := strings.Cut(rest, " ")
		var err error
		l.addr[side], err = netip.ParseAddrPort(addr)
		if err != nil || word != side.String() {
			return l, false
		}
		l.name[side] = name
		if unquoted, err := strconv.Unquote(name); err == nil {
			l.name[side] = unquoted
		}
	}
	return l, ok
}
