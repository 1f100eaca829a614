package capture

import (
	"encoding/binary"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const (
	// maxDatagram is what a UDP datagram carries over IPv4.
	maxDatagram = 65507
	// maxSegment keeps a segment within an IP packet, and cuts what programs usually
	// read at once, a power of two, without a crumb.
	maxSegment = 32 << 10
	// ackEvery is how much one side sends before the other's acknowledgement is
	// shown, if it doesn't ride on something that it sends itself.
	ackEvery = 64 << 10
	// The window is 65,535 << windowScale bytes: large enough never to be full.
	windowScale = 7
)

// flowState is what the packets of one connection depend on.
type flowState struct {
	tuple
	label   label
	begun   bool      // the first packet has been written
	seq     [2]uint32 // of the next byte of each side
	unacked [2]int    // bytes of each side that the other has not acknowledged
	ended   [2]bool
	reset   bool
}

func newFlowState(t tuple, l label) flowState {
	// Other numbers for each connection, so that one that uses a tuple again is not taken for the former.
	isn := uint32(l.number) * 0x9e3779b1
	return flowState{tuple: t, label: l, seq: [2]uint32{isn, ^isn}}
}

// A packer makes packets and writes them.
type packer struct {
	packets uint64
	buf     gopacket.SerializeBuffer
	ip4     layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP
	udp     layers.UDP
}

func newPacker() packer {
	return packer{buf: gopacket.NewSerializeBuffer()}
}

// flags are those of a TCP segment.
type flags struct{ syn, fin, rst, psh, ack bool }

// write writes the packets that show r.
func (p *packer) write(out *pcapgo.NgWriter, r *record, payload []byte) error {
	f := &r.conn.flow
	if f.udp {
		if r.begin {
			return nil // the first datagram will show it
		}
		return p.datagram(out, r, payload)
	}
	if r.begin {
		return p.handshake(out, r)
	}
	if f.reset || f.ended[r.from] {
		return nil
	}
	f.seq[r.from] += uint32(r.skipped) // a gap as wide as what is missing, modulo 2^32 as TCP has it
	switch r.op {
	case End:
		f.ended[r.from] = true
		return p.both(out, r, flags{fin: true, ack: true})
	case Reset:
		f.reset = true
		return p.segment(out, r, r.from, flags{rst: true, ack: true}, nil)
	}
	for {
		n := min(len(payload), maxSegment)
		if err := p.segment(out, r, r.from, flags{ack: true, psh: n == len(payload)}, payload[:n]); err != nil {
			return err
		}
		payload = payload[n:]
		if f.unacked[r.from] >= ackEvery {
			if err := p.segment(out, r, r.from.Other(), flags{ack: true}, nil); err != nil {
				return err
			}
		}
		if len(payload) == 0 {
			return nil
		}
	}
}

// handshake writes SYN, SYN-ACK and ACK.
func (p *packer) handshake(out *pcapgo.NgWriter, r *record) error {
	if err := p.segment(out, r, First, flags{syn: true}, nil); err != nil {
		return err
	}
	if err := p.segment(out, r, Second, flags{syn: true, ack: true}, nil); err != nil {
		return err
	}
	return p.segment(out, r, First, flags{ack: true}, nil)
}

// both writes a segment of r's side and the other's acknowledgement.
func (p *packer) both(out *pcapgo.NgWriter, r *record, f flags) error {
	if err := p.segment(out, r, r.from, f, nil); err != nil {
		return err
	}
	return p.segment(out, r, r.from.Other(), flags{ack: true}, nil)
}

// segment writes one TCP segment and counts what it takes of the sequence.
func (p *packer) segment(out *pcapgo.NgWriter, r *record, from Side, fl flags, payload []byte) error {
	f := &r.conn.flow
	p.tcp = layers.TCP{
		SrcPort: layers.TCPPort(f.addr[from].Port()), DstPort: layers.TCPPort(f.addr[from.Other()].Port()),
		Seq: f.seq[from], SYN: fl.syn, FIN: fl.fin, RST: fl.rst, PSH: fl.psh, ACK: fl.ack, Window: 65535,
	}
	if fl.ack {
		p.tcp.Ack = f.seq[from.Other()]
		f.unacked[from.Other()] = 0
	}
	if fl.syn {
		p.tcp.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionData: binary.BigEndian.AppendUint16(nil, maxSegment)},
			{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{windowScale}},
		}
	}
	f.seq[from] += uint32(len(payload))
	f.unacked[from] += len(payload)
	if fl.syn || fl.fin {
		f.seq[from]++
	}
	ip := p.network(f, from, layers.IPProtocolTCP)
	if err := p.tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	return p.packet(out, r, ip, &p.tcp, payload)
}

// datagram writes one UDP datagram.
func (p *packer) datagram(out *pcapgo.NgWriter, r *record, payload []byte) error {
	f := &r.conn.flow
	p.udp = layers.UDP{SrcPort: layers.UDPPort(f.addr[r.from].Port()), DstPort: layers.UDPPort(f.addr[r.from.Other()].Port())}
	ip := p.network(f, r.from, layers.IPProtocolUDP)
	if err := p.udp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	return p.packet(out, r, ip, &p.udp, payload)
}

// networkLayer is what IPv4 and IPv6 are here.
type networkLayer interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

// network gives the IP header.
func (p *packer) network(f *flowState, from Side, protocol layers.IPProtocol) networkLayer {
	src, dst := f.addr[from].Addr(), f.addr[from.Other()].Addr()
	if src.Is4() {
		p.ip4 = layers.IPv4{
			Version: 4, TTL: 64, Protocol: protocol, Flags: layers.IPv4DontFragment,
			SrcIP: src.AsSlice(), DstIP: dst.AsSlice(),
		}
		return &p.ip4
	}
	p.ip6 = layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	return &p.ip6
}

// packet writes one packet. The first of a connection bears its label.
func (p *packer) packet(out *pcapgo.NgWriter, r *record, ip, transport gopacket.SerializableLayer, payload []byte) error {
	err := gopacket.SerializeLayers(p.buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, transport, gopacket.Payload(payload))
	if err != nil {
		return err
	}
	var options pcapgo.NgPacketOptions
	if f := &r.conn.flow; !f.begun {
		f.begun = true
		options.Comments = []string{f.label.String()}
	}
	if r.dropped > 0 {
		dropped := r.dropped
		options.DropCount = &dropped
		r.dropped = 0
	}
	data := p.buf.Bytes()
	p.packets++
	info := gopacket.CaptureInfo{Timestamp: r.at, CaptureLength: len(data), Length: len(data)}
	return out.WritePacketWithOptions(info, data, options)
}
