package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// foreign are captures that tcpdump made of the same exchange over a loopback with an
// MTU of 1,500, and one that Wireshark's editcap converted.
var foreign = []string{"ethernet.pcap", "cooked.pcap", "cooked2.pcap", "wireshark.pcapng"}

func TestForeign(t *testing.T) {
	big := pattern(3000) // which went in fragments
	talk := []step{
		{First, Data, "hello\n"}, {Second, Data, "world\n"}, {First, End, ""}, {Second, Data, "bye\n"}, {Second, End, ""},
	}
	datagrams := []step{
		{First, Data, "a"},
		{Second, Data, "a"},
		{First, Data, ""},
		{Second, Data, ""},
		{First, Data, "b"},
		{Second, Data, "b"},
		{First, Data, big},
		{Second, Data, big},
	}
	want := [][]step{talk, datagrams, talk, datagrams, {{First, Data, "cut"}, {First, Reset, ""}}, {{Second, Reset, ""}}}
	for _, name := range foreign {
		t.Run(name, func(t *testing.T) {
			r, err := Open("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Flows) != len(want) {
				t.Fatalf("%d flows", len(r.Flows))
			}
			for i, f := range r.Flows {
				if diff := cmp.Diff(want[i], steps(f)); diff != "" {
					t.Errorf("flow %d: -want +got:\n%s", i, diff)
				}
				if f.Missing != [2]int64{} || f.Name != [2]string{} {
					t.Errorf("flow %d: missing %v, names %q", i, f.Missing, f.Name)
				}
			}
			// The client paused for 50 ms before its end.
			talk := r.Flows[0].Events
			if pause := talk[2].At - talk[1].At; pause < 50*time.Millisecond || pause > 60*time.Millisecond {
				t.Errorf("the end comes after %v", pause)
			}
		})
	}
}

// A frame makes packets of segments as the tests for other tools' files need them.
type frame struct {
	link  layers.LinkType
	outer []gopacket.SerializableLayer
}

// frames are the link layers that tcpdump's files in testdata don't have, and plain Ethernet.
func frames() map[string]frame {
	mac := []byte{2, 0, 0, 0, 0, 1}
	return map[string]frame{
		"raw":  {link: layers.LinkTypeRaw},
		"ipv4": {link: layers.LinkTypeIPv4},
		"bsd":  {link: 12},
		"ethernet": {link: layers.LinkTypeEthernet, outer: []gopacket.SerializableLayer{
			&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4},
		}},
		"vlan": {link: layers.LinkTypeEthernet, outer: []gopacket.SerializableLayer{
			&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeDot1Q},
			&layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4},
		}},
		"null": {link: layers.LinkTypeNull, outer: []gopacket.SerializableLayer{&layers.Loopback{Family: layers.ProtocolFamilyIPv4}}},
	}
}

// A seg is a segment of a test: of the first side unless back is set; seq counts from the first byte of data.
type seg struct {
	back  bool
	seq   int64
	flags string // of S, A, F, R, P
	data  string
	at    time.Duration
}

const isn = 0xffff_fff0 // soon to start over

// file writes the segments in a file of the given kind.
func file(tb testing.TB, f frame, ng bool, segs []seg) []byte {
	tb.Helper()
	var (
		out   bytes.Buffer
		write func(gopacket.CaptureInfo, []byte) error
		flush = func() error { return nil }
		err   error
	)
	if ng {
		var w *pcapgo.NgWriter
		w, err = pcapgo.NewNgWriter(&out, f.link)
		write, flush = w.WritePacket, w.Flush
	} else {
		w := pcapgo.NewWriter(&out)
		err = w.WriteFileHeader(65536, f.link)
		write = w.WritePacket
	}
	for _, s := range segs {
		ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
		tcp := &layers.TCP{SrcPort: 1000, DstPort: 2000, Seq: uint32(isn + s.seq)}
		if s.back {
			ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
			tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
		}
		for _, r := range s.flags {
			switch r {
			case 'S':
				tcp.SYN = true
				tcp.Seq--
			case 'A':
				tcp.ACK = true
			case 'F':
				tcp.FIN = true
			case 'R':
				tcp.RST = true
			case 'P':
				tcp.PSH = true
			}
		}
		buf := gopacket.NewSerializeBuffer()
		// Checksums stay 0, as where the card computes them.
		err = errors.Join(err, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true},
			append(append([]gopacket.SerializableLayer(nil), f.outer...), ip, tcp, gopacket.Payload(s.data))...))
		if f.link == layers.LinkTypeEthernet {
			for len(buf.Bytes()) < 60 {
				_, _ = buf.AppendBytes(1) // padding is not data
			}
		}
		n := len(buf.Bytes())
		err = errors.Join(err, write(gopacket.CaptureInfo{Timestamp: time.Unix(1e9, 0).Add(s.at), CaptureLength: n, Length: n}, buf.Bytes()))
	}
	if err := errors.Join(err, flush()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// TestAssemble puts segments in order that came in every other way.
func TestAssemble(t *testing.T) {
	open := []seg{{flags: "S"}, {back: true, flags: "SA"}, {flags: "A"}}
	abc := []step{{First, Data, "abcdef"}}
	tests := []struct {
		name    string
		segs    []seg // after open, unless the first is a SYN or bare is set
		bare    bool
		want    []step
		missing [2]int64
	}{
		{name: "in order", segs: []seg{{data: "abc"}, {seq: 3, data: "def"}}, want: abc},
		{name: "out of order", segs: []seg{{seq: 4, data: "ef"}, {seq: 2, data: "cd"}, {data: "ab"}}, want: abc},
		{name: "sent again", segs: []seg{{data: "abc"}, {data: "abc"}, {seq: 3, data: "def"}, {data: "abc"}}, want: abc},
		{name: "overlapping", segs: []seg{{data: "abcd"}, {seq: 2, data: "cdef"}, {seq: 1, data: "b"}}, want: abc},
		{name: "overlapping in the waiting", segs: []seg{{seq: 2, data: "cd"}, {seq: 1, data: "bcdef"}, {data: "ab"}}, want: abc},
		{name: "over the end of the sequence", segs: []seg{{data: strings.Repeat("x", 16)}, {seq: 20, data: "y"}, {seq: 16, data: "xxxx"}}, want: []step{{First, Data, strings.Repeat("x", 20) + "y"}}},
		{name: "keep-alive", segs: []seg{{data: "abc"}, {seq: 2, data: "?"}, {seq: 2}, {seq: 3, data: "def"}}, want: abc},
		{name: "end before its data", segs: []seg{{seq: 6, flags: "F"}, {data: "abcdef"}, {seq: 6, flags: "F"}}, want: append(abc[:1:1], step{First, End, ""})},
		{name: "end with data", segs: []seg{{data: "abcdef", flags: "F"}, {seq: 7, data: "more"}}, want: append(abc[:1:1], step{First, End, ""})},
		{name: "SYN with data", segs: []seg{{flags: "S", data: ""}, {back: true, flags: "SA"}, {data: "abcdef"}}, want: abc},
		{name: "SYN twice", segs: []seg{{flags: "S"}, {flags: "S"}, {back: true, flags: "SA"}, {data: "abcdef"}, {flags: "S"}}, want: abc},
		{name: "a gap", segs: []seg{{data: "ab"}, {seq: 4, data: "ef"}}, want: []step{{First, Data, "abef"}}, missing: [2]int64{2, 0}},
		{name: "a gap before a reset", segs: []seg{{back: true, seq: 5, data: "x"}, {seq: 6, flags: "R"}, {data: "late"}, {back: true, flags: "R"}}, want: []step{{Second, Data, "x"}, {First, Reset, ""}}, missing: [2]int64{6, 5}},
		{name: "refused", segs: []seg{{flags: "S"}, {back: true, seq: -isn, flags: "RA"}}, want: []step{{Second, Reset, ""}}},
		{name: "SYN not captured", bare: true, segs: []seg{{back: true, flags: "SA"}, {data: "abcdef"}}, want: abc},
		{name: "from the middle", bare: true, segs: []seg{{seq: 100, data: "abc"}, {seq: 103, data: "def"}, {back: true, seq: 9, data: "x"}}, want: append(abc[:1:1], step{Second, Data, "x"})},
		{name: "both directions", segs: []seg{{data: "abcdef"}, {back: true, data: "x"}, {seq: 6, flags: "F"}, {back: true, seq: 1, data: "y", flags: "F"}}, want: append(abc[:1:1], step{Second, Data, "x"}, step{First, End, ""}, step{Second, Data, "y"}, step{Second, End, ""})},
	}
	for _, tt := range tests {
		if tt.segs[0].flags != "S" && !tt.bare {
			tt.segs = append(open[:3:3], tt.segs...)
		}
		for name, f := range frames() {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				r, err := Read(bytes.NewReader(file(t, f, name == "raw", tt.segs)))
				if err != nil || len(r.Flows) != 1 || r.Skipped != 0 {
					t.Fatalf("%+v, %v", r, err)
				}
				got := r.Flows[0]
				if diff := cmp.Diff(tt.want, steps(got)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if got.Missing != tt.missing || got.Addr[First].Port() != 1000 {
					t.Errorf("missing %v, first is %v", got.Missing, got.Addr[First])
				}
			})
		}
	}
}

// TestAssembleTimes shows the times of events: those of the packets that completed them, never going back.
func TestAssembleTimes(t *testing.T) {
	const ms = time.Millisecond
	segs := []seg{
		{flags: "S"},
		{back: true, flags: "SA", at: ms},
		{seq: 1, data: "b", at: 2 * ms},
		{data: "a", at: 5 * ms},
		{back: true, data: "x", at: 4 * ms}, // another clock
		{seq: 2, flags: "F", at: 9 * ms},
	}
	r, err := Read(bytes.NewReader(file(t, frames()["raw"], true, segs)))
	if err != nil {
		t.Fatal(err)
	}
	var at []time.Duration
	for _, e := range r.Flows[0].Events {
		at = append(at, e.At)
	}
	if diff := cmp.Diff([]time.Duration{5 * ms, 5 * ms, 5 * ms, 9 * ms}, at); diff != "" {
		t.Error(diff)
	}
}

// TestAgain shows that a port used again makes another flow.
func TestAgain(t *testing.T) {
	segs := []seg{
		{flags: "S"},
		{back: true, flags: "SA"},
		{data: "one", flags: "F"},
		{back: true, flags: "F"},
		{flags: "S"},
		{back: true, flags: "SA"},
		{data: "two"},
		{seq: 1000, flags: "S"},
		{seq: 1000, data: "three"},
	}
	r, err := Read(bytes.NewReader(file(t, frames()["raw"], true, segs)))
	if err != nil || len(r.Flows) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, want := range []string{"one", "two", "three"} {
		if got := steps(r.Flows[i])[0].Data; got != want {
			t.Errorf("flow %d: %q", i, got)
		}
	}
}

// TestDamaged cuts files at every offset, and reads what is no capture.
func TestDamaged(t *testing.T) {
	segs := []seg{{flags: "S"}, {data: "abc"}, {seq: 3, data: "def"}, {seq: 6, flags: "F"}}
	ours := recorded(t, func(w *Writer) {
		w.Connection(Stream, nil, nil).play([]step{{First, Data, "abc"}, {First, Data, "def"}, {First, End, ""}})
	})
	for name, whole := range map[string][]byte{
		"pcap": file(t, frames()["raw"], false, segs), "pcapng": file(t, frames()["raw"], true, segs), "ours": ours,
	} {
		t.Run(name, func(t *testing.T) {
			ends := 0
			for n := range whole {
				r, err := Read(bytes.NewReader(whole[:n]))
				switch {
				case err == nil:
					ends++ // between two packets
				case !errors.Is(err, io.ErrUnexpectedEOF):
					t.Fatalf("cut at %d: %v", n, err)
				}
				if r != nil && len(r.Flows) == 1 && !strings.HasPrefix("abcdef", payload(r.Flows[0])) {
					t.Fatalf("cut at %d: %q", n, payload(r.Flows[0]))
				}
			}
			if ends == 0 || ends > 20 {
				t.Errorf("%d cuts went unnoticed", ends)
			}
		})
	}
	for name, data := range map[string]string{
		"text": "this is a test of something else", "gzip": "\x1f\x8b\x08\x00 and so on, long enough to be one",
		"block too short": "\n\r\r\n\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00",
	} {
		if r, err := Read(strings.NewReader(data)); !errors.Is(err, ErrFormat) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if _, err := Open("testdata/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func payload(f *Flow) string {
	var b strings.Builder
	for _, s := range steps(f) {
		b.WriteString(s.Data)
	}
	return b.String()
}

// TestSkipped counts what is no TCP and no UDP.
func TestSkipped(t *testing.T) {
	f := frame{link: layers.LinkTypeEthernet, outer: []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeARP},
	}}
	for name, f := range map[string]frame{"ARP": f, "unknown link": {link: layers.LinkTypeFDDI}} {
		r, err := Read(bytes.NewReader(file(t, f, true, []seg{{data: "x"}, {data: "y"}})))
		if err != nil || r.Skipped != 2 || len(r.Flows) != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
