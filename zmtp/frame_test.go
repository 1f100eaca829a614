package zmtp

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		name string
		f    Flags
		n    int
		want []byte
	}{
		{"empty", 0, 0, []byte{0, 0}},
		{"short", FlagMore, 255, []byte{1, 255}},
		{"long", 0, 256, []byte{2, 0, 0, 0, 0, 0, 0, 1, 0}},
		{"long, more", FlagMore, 1 << 32, []byte{3, 0, 0, 0, 1, 0, 0, 0, 0}},
		{"command", FlagCommand, 5, []byte{4, 5}},
		{"long command", FlagCommand, 300, []byte{6, 0, 0, 0, 0, 0, 0, 1, 44}},
		{"LONG that is none", FlagLong | FlagMore, 3, []byte{1, 3}},
		{"longest", 0, math.MaxInt64, []byte{2, 127, 255, 255, 255, 255, 255, 255, 255}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := AppendHeader([]byte("x"), test.f, test.n)
			if want := append([]byte("x"), test.want...); !bytes.Equal(got, want) {
				t.Fatalf("got % x, want % x", got, want)
			}
			for cut := range test.want {
				if h, n, err := ParseHeader(test.want[:cut]); n != 0 || err != nil {
					t.Errorf("of %d bytes: %v, %d, %v; want more to be needed", cut, h, n, err)
				}
			}
			h, n, err := ParseHeader(append(test.want, "body"...))
			want := Header{Flags: Flags(test.want[0]), Length: uint64(test.n)}
			if h != want || n != len(test.want) || err != nil {
				t.Errorf("parsed %+v, %d, %v; want %+v, %d", h, n, err, want, len(test.want))
			}
		})
	}
}

// LONG may be used where the length is short, as a command of 2^63-1 bytes may: the limit is the caller's.
func TestHeaderLongForm(t *testing.T) {
	for _, test := range []struct {
		b      []byte
		length uint64
	}{
		{[]byte{2, 0, 0, 0, 0, 0, 0, 0, 1}, 1},
		{[]byte{6, 0, 0, 0, 0, 0, 0, 0, 0}, 0},
		{[]byte{6, 127, 255, 255, 255, 255, 255, 255, 255}, math.MaxInt64},
	} {
		if h, n, err := ParseHeader(test.b); h.Length != test.length || n != MaxHeader || err != nil {
			t.Errorf("% x: %+v, %d, %v", test.b, h, n, err)
		}
	}
}

// Every value of the first byte is either valid or refused, with the fewest bytes that show it.
func TestHeaderFaults(t *testing.T) {
	for b := range 256 {
		header := []byte{byte(b), 0, 0, 0, 0, 0, 0, 0, 0}
		_, n, err := ParseHeader(header)
		switch Flags(b) {
		case 0, FlagMore, FlagCommand:
			if n != 2 || err != nil {
				t.Errorf("%#x: %d, %v", b, n, err)
			}
		case FlagLong, FlagLong | FlagMore, FlagLong | FlagCommand:
			if n != MaxHeader || err != nil {
				t.Errorf("%#x: %d, %v", b, n, err)
			}
			for _, high := range []byte{0x80, 0xFF} {
				_, n, err := ParseHeader([]byte{byte(b), high})
				wantFault(t, err, ruleFraming)
				if n != 0 {
					t.Errorf("%#x %#x: n is %d", b, high, n)
				}
			}
		default:
			wantFault(t, err, ruleFraming)
			_, _, err := ParseHeader(header[:1])
			wantFault(t, err, ruleFraming)
		}
	}
}

func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 70000} {
		body := bytes.Repeat([]byte("b"), n)
		frame := AppendFrame(nil, FlagMore, body)
		h, at, err := ParseHeader(frame)
		if err != nil || h.Flags&^FlagLong != FlagMore || h.Length != uint64(n) || !bytes.Equal(frame[at:], body) {
			t.Errorf("%d bytes: %+v, %d, %v", n, h, at, err)
		}
	}
}

func TestFrameAllocations(t *testing.T) {
	dst, body := make([]byte, 0, 1000), make([]byte, 300)
	header := binary.BigEndian.AppendUint64([]byte{2}, 300)
	ping := AppendPing(nil, 0, []byte("context"))
	for name, run := range map[string]func(){
		"ParseHeader":       func() { _, _, _ = ParseHeader(header) },
		"AppendHeader":      func() { _ = AppendHeader(dst, 0, 300) },
		"AppendFrame":       func() { _ = AppendFrame(dst, 0, body) },
		"AppendPing":        func() { _ = AppendPing(dst, 1, body[:5]) },
		"ParseCommand":      func() { _, _ = ParseCommand(ping) },
		"ParseSubscription": func() { _, _ = ParseSubscription(FlagCommand, []byte("\x09SUBSCRIBEtopic")) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s takes memory %v times, want never", name, n)
		}
	}
}
