package natsbridge

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"
)

// TestParts: a message of any parts comes back as it was, also where its last part looks like headers.
func TestParts(t *testing.T) {
	part := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 16),
		rapid.SampledFrom([][]byte{
			[]byte("NATS/1.0\r\nA: b\r\n\r\n"), []byte("NATS/1.0\r\nA: b\r\nA: c\r\nB: \r\n\r\n"), []byte("NATS/1.0\r\nB: c\r\nA: b\r\n\r\n"),
			[]byte("NATS/1.0\r\n\r\n"), []byte("NATS/1.0\r\nA:b\r\n\r\n"), []byte("NATS/1.0\r\nTincan-Parts: 1\r\n\r\n"),
			[]byte("NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n"), []byte("NATS/1.0\r\nA:  b\r\n\r\n"), []byte("NATS/1.0\r\nA b: c\r\n\r\n"),
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part, 0, 5).Draw(t, "parts")
		m := &nats.Msg{}
		setParts(m, slices.Clone(parts))
		got, err := partsOf(m)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, parts, bytes.Equal) {
			t.Fatalf("%q came back as %q, over %q and %v", parts, got, m.Data, m.Header)
		}
	})
}

func TestPartsOfOneAreThePayload(t *testing.T) {
	m := &nats.Msg{}
	setParts(m, [][]byte{[]byte("alone")})
	if string(m.Data) != "alone" || m.Header != nil {
		t.Errorf("one part is %q with %v", m.Data, m.Header)
	}
}

func TestHeadersAreAPart(t *testing.T) {
	m := &nats.Msg{Data: []byte("body"), Header: nats.Header{"b": {"2"}, "A": {"1", "3"}, "Nats-Msg-Id": {"x"}, "Tincan-Via": {"y"}}}
	parts, err := partsOf(m)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{[]byte("body"), []byte("NATS/1.0\r\nA: 1\r\nA: 3\r\nb: 2\r\n\r\n")}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Fatal(diff)
	}
	back := &nats.Msg{}
	setParts(back, parts)
	if diff := cmp.Diff(nats.Header{"A": {"1", "3"}, "b": {"2"}}, back.Header); diff != "" || string(back.Data) != "body" {
		t.Errorf("%q %s", back.Data, diff)
	}
}

func TestWrongFraming(t *testing.T) {
	for _, lengths := range [][]string{{"1"}, {"4"}, {"1,1"}, {"3,+0"}, {"-1,4"}, {"3,"}, {",3"}, {"x"}, {"3", "3"}, {"99999999999999999999"}, {}} {
		m := &nats.Msg{Data: []byte("abc"), Header: nats.Header{headerParts: lengths}}
		if parts, err := partsOf(m); !errors.Is(err, ErrFraming) {
			t.Errorf("%q of abc is %q, %v", lengths, parts, err)
		}
	}
}

func FuzzParts(f *testing.F) {
	f.Add([]byte("abc"), "1,2")
	f.Add([]byte(""), "")
	f.Add([]byte("abc"), "0,3,0")
	f.Add([]byte("NATS/1.0\r\nA: b\r\n\r\n"), "0,19")
	f.Fuzz(func(t *testing.T, data []byte, lengths string) {
		parts, err := partsOf(&nats.Msg{Data: data, Header: nats.Header{headerParts: {lengths}}})
		if err != nil {
			return
		}
		m := &nats.Msg{}
		setParts(m, slices.Clone(parts))
		again, err := partsOf(m)
		if err != nil || !slices.EqualFunc(again, parts, bytes.Equal) {
			t.Fatalf("%q came back as %q, %v", parts, again, err)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte("NATS/1.0\r\nA: b\r\n\r\n"))
	f.Add([]byte("NATS/1.0\r\nA: b\r\nA: c\r\n\r\n"))
	f.Fuzz(func(t *testing.T, part []byte) {
		if h, ok := parseHeaders(part); ok && !bytes.Equal(appendHeaders(nil, h, isOwn), part) {
			t.Fatalf("%q was taken for %v", part, h)
		}
	})
}
