package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// ErrFormat is a file that is no capture, or a capture of a form that can't be read.
var ErrFormat = errors.New("not a capture file that can be read")

// A Recording is what a capture file holds.
type Recording struct {
	// Flows are the connections and exchanges of datagrams, in the order in which they began.
	Flows []*Flow
	// Skipped counts packets that are neither TCP nor UDP, or are damaged.
	Skipped int
	// Dropped counts packets that, as the file says, its maker lost.
	Dropped uint64
}

// A Flow is one connection as it was recorded, or all datagrams between two UDP ports.
type Flow struct {
	Kind Kind
	// Addr are the addresses of the first and the second side. The first is the one that sent
	// the SYN; where the recording began later, or there is none, the sender of the first packet.
	Addr [2]netip.AddrPort
	// Name are the endpoints' names, if a [Writer] made the file.
	Name [2]string
	// Start is the time of the first packet.
	Start time.Time
	// Events are what both sides did, in order.
	Events []Event
	// Missing counts the bytes of each side that the recording lacks.
	Missing [2]int64
}

// An Event is something that a side did.
type Event struct {
	At   time.Duration // since the flow's start; it never decreases
	From Side
	Op   Op
	Data []byte // some bytes of a stream, or one message
}

// Bytes counts what a side sent.
func (f *Flow) Bytes(from Side) int64 {
	var n int64
	for _, e := range f.Events {
		if e.From == from {
			n += int64(len(e.Data))
		}
	}
	return n
}

// add appends an event at the time of a packet. Clocks that were set back don't turn the order around.
func (f *Flow) add(at time.Time, from Side, op Op, data []byte) {
	offset := max(0, at.Sub(f.Start))
	if n := len(f.Events); n > 0 {
		offset = max(offset, f.Events[n-1].At)
	}
	f.Events = append(f.Events, Event{At: offset, From: from, Op: op, Data: data})
}

// Open reads the capture file at path as [Read] does.
func Open(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	r, err := Read(f)
	if err != nil {
		err = &os.PathError{Op: "read", Path: path, Err: err}
	}
	return r, err
}

// Read reads a pcapng or pcap file to its end, of link type raw IP,
// Ethernet, Linux cooked (both versions) or BSD loopback. It holds what it has read in
// memory. A file that ends early is [io.ErrUnexpectedEOF], one that is damaged otherwise [ErrFormat]; the
// recording up to there is given too, but for a file that is no capture at all.
func Read(r io.Reader) (*Recording, error) {
	recording := &Recording{}
	source, err := newSource(r)
	if err != nil {
		return nil, formatError(err)
	}
	var (
		d = newDecoder()
		a = newAssembler(recording)
		n = 0
	)
	for {
		p, err := source.next()
		if err != nil {
			a.finish()
			recording.Dropped = source.dropped()
			if err == io.EOF { //nolint:errorlint // only the bare one is the end
				return recording, nil
			}
			return recording, fmt.Errorf("packet %d: %w", n+1, formatError(err))
		}
		n++
		if s, ok := d.decode(p); !ok {
			recording.Skipped++
		} else if s.src.IsValid() {
			a.add(s)
		}
	}
}

func formatError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// A packet is one of the file. Its data is its own.
type packet struct {
	at    time.Time
	link  layers.LinkType
	data  []byte
	label *label
}

// A source reads the packets of a file of either format.
type source struct {
	classic *pcapgo.Reader
	ng      *pcapgo.NgReader
	last    time.Time

	told   uint64         // packets lost, by the packets' options
	totals map[int]uint64 // the same by the interfaces' statistics
}

func newSource(r io.Reader) (*source, error) {
	s := &source{totals: map[int]uint64{}}
	in := bufio.NewReaderSize(r, fileBuffer)
	magic, err := in.Peek(4)
	switch {
	case err != nil:
		return nil, err
	case magic[0] == 0x1f && magic[1] == 0x8b:
		// The library would unpack it, whatever it grows to.
		return nil, errors.New("it is compressed: unpack it with gunzip")
	case string(magic) == "\n\r\r\n":
		s.ng, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{
			WantMixedLinkType: true,
			StatisticsCallback: func(id int, stats pcapgo.NgInterfaceStatistics) {
				if stats.PacketsDropped != pcapgo.NgNoValue64 {
					s.totals[id] = stats.PacketsDropped
				}
			},
		})
	default:
		s.classic, err = pcapgo.NewReader(in)
	}
	return s, err
}

func (s *source) next() (packet, error) {
	if s.classic != nil {
		data, info, err := s.classic.ReadPacketData()
		if err == io.EOF && info.CaptureLength > 0 { //nolint:errorlint // the library's own
			err = io.ErrUnexpectedEOF // right after a packet's header
		}
		return packet{at: info.Timestamp, link: s.classic.LinkType(), data: data}, err
	}
	data, info, options, err := s.ng.ReadPacketDataWithOptions()
	if err != nil {
		return packet{}, err
	}
	p := packet{at: s.time(info), data: data}
	p.link, _ = info.AncillaryData[0].(layers.LinkType)
	if options.DropCount != nil {
		s.told += *options.DropCount
	}
	for _, comment := range options.Comments {
		if l, ok := parseLabel(comment); ok {
			p.label = &l
		}
	}
	return p, nil
}

// time gives a packet's time, that of the one before where it has none.
func (s *source) time(info gopacket.CaptureInfo) time.Time {
	if !info.Timestamp.IsZero() {
		s.last = info.Timestamp
	}
	return s.last
}

// dropped gives the larger count of the two that a file may have of the same packets.
func (s *source) dropped() uint64 {
	var sum uint64
	for _, n := range s.totals {
		sum += n
	}
	return max(sum, s.told)
}
