package capture

import (
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

// A segment is a TCP segment or a UDP datagram. It is the zero value for
// a fragment that does not complete one.
type segment struct {
	at       time.Time
	label    *label
	src, dst netip.AddrPort
	udp      bool
	flags
	seq     uint32
	payload []byte
	cut     int // bytes of a datagram that were not captured
}

// A decoder finds the segment in a packet. Checksums are not looked at: where a card
// computes them they are wrong in every capture of what was sent.
type decoder struct {
	eth    layers.Ethernet
	vlan   layers.Dot1Q
	sll    layers.LinuxSLL
	sll2   layers.LinuxSLL2
	null   layers.Loopback
	ip4    layers.IPv4
	ip6    layers.IPv6
	part6  layers.IPv6Fragment
	tcp    layers.TCP
	udp    layers.UDP
	parts4 *ip4defrag.IPv4Defragmenter
	parts6 *ip6defrag.IPv6Defragmenter

	parsers map[gopacket.LayerType]*gopacket.DecodingLayerParser // by the first layer
	found   []gopacket.LayerType
}

func newDecoder() *decoder {
	d := &decoder{
		parts4:  ip4defrag.NewIPv4Defragmenter(),
		parts6:  ip6defrag.NewIPv6Defragmenter(),
		parsers: map[gopacket.LayerType]*gopacket.DecodingLayerParser{},
	}
	for _, first := range []gopacket.LayerType{
		layers.LayerTypeEthernet, layers.LayerTypeLinuxSLL, layers.LayerTypeLinuxSLL2, layers.LayerTypeLoopback,
		layers.LayerTypeIPv4, layers.LayerTypeIPv6, layers.LayerTypeTCP, layers.LayerTypeUDP,
	} {
		p := gopacket.NewDecodingLayerParser(first,
			&d.eth, &d.vlan, &d.sll, &d.sll2, &d.null, &d.ip4, &d.ip6, &d.part6, &d.tcp, &d.udp)
		p.IgnoreUnsupported = true
		d.parsers[first] = p
	}
	return d
}

// firstLayer tells what a packet begins with.
func firstLayer(p packet) gopacket.LayerType {
	const rawOpenBSD, rawBSD = 14, 12 // what these systems' libpcap writes for raw IP
	switch p.link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL
	case layers.LinkTypeLinuxSLL2:
		return layers.LayerTypeLinuxSLL2
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, rawBSD, rawOpenBSD:
		if len(p.data) > 0 && p.data[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return gopacket.LayerTypeZero
}

// decode finds the segment in p; ok is false where there is none.
func (d *decoder) decode(p packet) (s segment, ok bool) {
	var version gopacket.LayerType // of the innermost IP
	last := d.parse(firstLayer(p), p.data, &version)
	switch {
	case last == layers.LayerTypeIPv4 && (d.ip4.Flags&layers.IPv4MoreFragments != 0 || d.ip4.FragOffset != 0):
		part := d.ip4 // which is overwritten by the next packet
		whole, err := d.parts4.DefragIPv4WithTimestamp(&part, p.at)
		if err != nil || whole == nil {
			return s, err == nil
		}
		d.ip4 = *whole
		last = d.parse(whole.Protocol.LayerType(), whole.Payload, &version)
	case last == layers.LayerTypeIPv6Fragment && (d.part6.FragmentOffset != 0 || d.part6.MoreFragments):
		header, part := d.ip6, d.part6
		whole := d.parts6.DefragIPv6(&header, &part)
		if whole == nil {
			return s, true
		}
		d.ip6 = *whole
		last = d.parse(whole.NextHeader.LayerType(), whole.Payload, &version)
	}

	src, dst := d.ip4.SrcIP, d.ip4.DstIP
	if version == layers.LayerTypeIPv6 {
		src, dst = d.ip6.SrcIP, d.ip6.DstIP
	}
	srcIP, _ := netip.AddrFromSlice(src)
	dstIP, _ := netip.AddrFromSlice(dst)
	s.at, s.label = p.at, p.label
	switch last {
	case layers.LayerTypeTCP:
		s.src = netip.AddrPortFrom(srcIP, uint16(d.tcp.SrcPort))
		s.dst = netip.AddrPortFrom(dstIP, uint16(d.tcp.DstPort))
		s.flags = flags{syn: d.tcp.SYN, fin: d.tcp.FIN, rst: d.tcp.RST, psh: d.tcp.PSH, ack: d.tcp.ACK}
		s.seq, s.payload = d.tcp.Seq, d.tcp.Payload
	case layers.LayerTypeUDP:
		s.udp = true
		s.src = netip.AddrPortFrom(srcIP, uint16(d.udp.SrcPort))
		s.dst = netip.AddrPortFrom(dstIP, uint16(d.udp.DstPort))
		s.payload = d.udp.Payload
		s.cut = max(0, int(d.udp.Length)-8-len(s.payload))
	default:
		return s, false
	}
	return s, s.src.IsValid() && s.dst.IsValid()
}

// parse decodes data from its first layer on and gives the last one that it knows.
func (d *decoder) parse(first gopacket.LayerType, data []byte, version *gopacket.LayerType) gopacket.LayerType {
	p := d.parsers[first]
	if p == nil || p.DecodeLayers(data, &d.found) != nil || len(d.found) == 0 {
		return gopacket.LayerTypeZero
	}
	for _, layer := range d.found {
		if layer == layers.LayerTypeIPv4 || layer == layers.LayerTypeIPv6 {
			*version = layer
		}
	}
	return d.found[len(d.found)-1]
}
