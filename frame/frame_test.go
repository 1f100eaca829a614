package frame

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var framings = []Framing{Line, NUL, Len16, Len32, Uvarint}

func TestParse(t *testing.T) {
	for _, f := range framings {
		if got, err := Parse(f.String()); got != f || err != nil {
			t.Errorf("Parse(%q) = %v, %v", f, got, err)
		}
	}
	if _, err := Parse("lines"); err == nil {
		t.Error("Parse took an unknown name")
	}
}

// readAll reads messages to the end and gives the error that ended it.
func readAll(r io.Reader, f Framing, limit int) (msgs []string, err error) {
	fr := NewReader(r, f, limit)
	for {
		msg, err := fr.Read()
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, string(msg))
	}
}

func TestRead(t *testing.T) {
	long := strings.Repeat("m", 300)
	for _, tt := range []struct {
		name string
		f    Framing
		in   string
		want []string
		err  error
	}{
		{"line", Line, "a\n\nbc\r\n\r\nd\re\n", []string{"a", "", "bc", "", "d\re"}, io.EOF},
		{"line without newline", Line, "a\nb", []string{"a", "b"}, io.EOF},
		{"line without newline but a return", Line, "a\r", []string{"a\r"}, io.EOF},
		{"line, two returns", Line, "a\r\r\n", []string{"a\r"}, io.EOF},
		{"no line", Line, "", nil, io.EOF},
		{"nul", NUL, "a\x00\x00b\n\x00", []string{"a", "", "b\n"}, io.EOF},
		{"nul cut", NUL, "a\x00b", []string{"a"}, io.ErrUnexpectedEOF},
		{"len16", Len16, "\x00\x01a\x00\x00\x00\x02bc", []string{"a", "", "bc"}, io.EOF},
		{"len16 cut in the length", Len16, "\x00\x01a\x00", []string{"a"}, io.ErrUnexpectedEOF},
		{"len16 cut in the message", Len16, "\x00\x02a", nil, io.ErrUnexpectedEOF},
		{"len32", Len32, "\x00\x00\x00\x01a\x00\x00\x00\x00", []string{"a", ""}, io.EOF},
		{"uvarint", Uvarint, "\x01a\x00\xac\x02" + long, []string{"a", "", long}, io.EOF},
		{"uvarint cut", Uvarint, "\xac", nil, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(tt.in), tt.f, 0)
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v; messages (-want +got):\n%s", err, tt.err, diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		f      Framing
		in     string
		limit  int
		offset int64
		err    error
	}{
		{"line over the limit", Line, "abc\nabcd\n", 3, 4, ErrTooLong},
		{"line over the limit, no end", Line, "abcd", 3, 0, ErrTooLong},
		{"line at the limit with a return", Line, "abc\r\n", 3, -1, nil},
		{"nul over the limit", NUL, "abcd\x00", 3, 0, ErrTooLong},
		{"len16 over the limit", Len16, "\x00\x01a\x00\x04abcd", 3, 3, ErrTooLong},
		{"len32 over the limit", Len32, "\xff\xff\xff\xff", 3, 0, ErrTooLong},
		{"uvarint over the limit", Uvarint, "\x04abcd", 3, 0, ErrTooLong},
		{"uvarint of 2^63", Uvarint, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 3, 0, ErrTooLong},
		{"uvarint of 2^64-1", Uvarint, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 3, 0, ErrTooLong},
		{"uvarint of 65 bits", Uvarint, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 3, 0, nil},
		{"uvarint of 11 bytes", Uvarint, strings.Repeat("\x80", 11), 3, 0, nil},
		{"uvarint overlong", Uvarint, "\x01a\x81\x00b", 3, 2, nil},
		{"uvarint overlong zero", Uvarint, "\x80\x00", 3, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fr := NewReader(strings.NewReader(tt.in), tt.f, tt.limit)
			var err error
			for err == nil {
				_, err = fr.Read()
			}
			if tt.offset < 0 {
				if !errors.Is(err, io.EOF) {
					t.Errorf("got %v, want io.EOF", err)
				}
				return
			}
			var fault *ProtocolError
			if !errors.As(err, &fault) || fault.Offset != tt.offset || !errors.Is(fault.Err, tt.err) {
				t.Fatalf("got %#v, want a ProtocolError at %d of %v", err, tt.offset, tt.err)
			}
			if _, again := fr.Read(); !errors.Is(again, err) {
				t.Errorf("then %v, want the same error", again)
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for _, tt := range []struct {
		f    Framing
		msg  string
		want string
		err  error
	}{
		{Line, "a", "a\n", nil},
		{Line, "a\rb", "a\rb\n", nil},
		{Line, "a\nb", "", ErrDelimiter},
		{Line, "a\r", "", ErrDelimiter},
		{NUL, "a\n", "a\n\x00", nil},
		{NUL, "\x00", "", ErrDelimiter},
		{Len16, "ab", "\x00\x02ab", nil},
		{Len16, strings.Repeat("x", math.MaxUint16+1), "", ErrTooLong},
		{Len32, "ab", "\x00\x00\x00\x02ab", nil},
		{Uvarint, "ab", "\x02ab", nil},
		{Uvarint, strings.Repeat("x", 300), "\xac\x02" + strings.Repeat("x", 300), nil},
		{Framing(9), "a", "", errors.ErrUnsupported},
	} {
		got, err := Append([]byte("before"), tt.f, []byte(tt.msg))
		if string(got) != "before"+tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Append(%v, %.20q) = %.20q, %v; want %.20q, %v", tt.f, tt.msg, got, err, tt.want, tt.err)
		}
	}
}

// samples gives frames of messages of many lengths, and the messages.
func samples(t testing.TB, f Framing) (stream []byte, msgs []string) {
	t.Helper()
	for _, n := range []int{0, 1, 2, 0, 127, 128, 255, 256, 0} {
		msg := strings.Repeat("m", n)
		var err error
		if stream, err = Append(stream, f, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, msg)
	}
	return stream, msgs
}

// A stream cut at each byte into two reads decodes the same.
func TestEveryCut(t *testing.T) {
	for _, f := range framings {
		stream, want := samples(t, f)
		for i := range stream {
			got, err := readAll(io.MultiReader(bytes.NewReader(stream[:i]), bytes.NewReader(stream[i:])), f, 0)
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) {
				t.Fatalf("%v cut at %d: %v\n%s", f, i, err, diff)
			}
		}
		got, err := readAll(iotest.OneByteReader(bytes.NewReader(stream)), f, 0)
		if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) {
			t.Errorf("%v byte by byte: %v\n%s", f, err, diff)
		}
	}
}

// A stream that ends early gives whole messages, and never a part of one but for the last line.
func TestEveryEnd(t *testing.T) {
	for _, f := range framings {
		stream, want := samples(t, f)
		ends := map[int]bool{0: true}
		for n, end := range want {
			framed, err := Append(nil, f, []byte(end))
			if err != nil {
				t.Fatal(err)
			}
			total := len(framed)
			for _, before := range want[:n] {
				b, _ := Append(nil, f, []byte(before))
				total += len(b)
			}
			ends[total] = true
		}
		for i := range len(stream) + 1 {
			got, err := readAll(iotest.DataErrReader(bytes.NewReader(stream[:i])), f, 0)
			wantErr := io.ErrUnexpectedEOF
			if ends[i] || f == Line {
				wantErr = io.EOF
			}
			if !errors.Is(err, wantErr) || len(got) > len(want) {
				t.Fatalf("%v ends at %d: %v, want %v", f, i, err, wantErr)
			}
			if f == Line && !ends[i] && len(got) > 0 {
				got = got[:len(got)-1]
			}
			if diff := cmp.Diff(want[:len(got)], got); len(got) > 0 && diff != "" {
				t.Fatalf("%v ends at %d:\n%s", f, i, diff)
			}
		}
	}
}

// A length alone costs nothing: memory comes with bytes.
func TestLengthAllocatesNothing(t *testing.T) {
	for _, tt := range []struct {
		f  Framing
		in string
	}{
		{Len32, "\x80\x00\x00\x00"},
		{Len32, "\x7f\xff\xff\xff some bytes"},
		{Uvarint, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
		{Len16, "\xff\xff"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewReader(strings.NewReader(tt.in), tt.f, math.MaxInt).Read()
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v %q: %v", tt.f, tt.in, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n >= 64<<10 {
			t.Errorf("%v %q: %d bytes allocated", tt.f, tt.in, n)
		}
	}
}

// A large message's buffer is given back when the next is read.
func TestGivesBackMemory(t *testing.T) {
	stream, err := Append(nil, Len32, make([]byte, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	if stream, err = Append(stream, Len32, []byte("small")); err != nil {
		t.Fatal(err)
	}
	fr := NewReader(bytes.NewReader(stream), Len32, 0)
	for _, want := range []int{4 << 20, 5} {
		msg, err := fr.Read()
		if err != nil || len(msg) != want {
			t.Fatalf("%d bytes, %v; want %d", len(msg), err, want)
		}
	}
	if len(fr.buf) > keptBuffer {
		t.Errorf("holds %d bytes", len(fr.buf))
	}
}

func TestStreamErrorLosesNothing(t *testing.T) {
	failing := errors.New("for once")
	fr := NewReader(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(failing)), Line, 0)
	if _, err := fr.Read(); !errors.Is(err, failing) {
		t.Fatalf("got %v, want %v", err, failing)
	}
	fr.r = strings.NewReader("c\n")
	if msg, err := fr.Read(); string(msg) != "abc" || err != nil {
		t.Errorf("then %q, %v", msg, err)
	}
	if _, err := NewReader(emptyReader{}, Line, 0).Read(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// fuzzFraming holds any bytes against f: whatever chunks they arrive in they
// decode to the same, in memory bounded by their number, and messages survive the round trip.
func fuzzFraming(f *testing.F, framing Framing) {
	stream, _ := samples(f, framing)
	f.Add(stream, uint8(3))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(1))
	f.Add([]byte("a\r\n\x00b"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		const limit = 1 << 20
		whole, wholeErr := readAll(bytes.NewReader(in), framing, limit)
		pieces, piecesErr := readAll(&chunkReader{in, int(chunk) + 1}, framing, limit)
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatalf("in chunks it decodes to something else:\n%s", diff)
		}
		var fault, piecesFault *ProtocolError
		if errors.As(wholeErr, &fault) != errors.As(piecesErr, &piecesFault) || fault == nil && !errors.Is(piecesErr, wholeErr) {
			t.Fatalf("in chunks the error is %v, not %v", piecesErr, wholeErr)
		}
		fr := NewReader(bytes.NewReader(in), framing, limit)
		for {
			if _, err := fr.Read(); err != nil {
				break
			}
			if len(fr.buf) > max(firstBuffer, 2*len(in)) {
				t.Fatalf("%d bytes made it hold %d", len(in), len(fr.buf))
			}
		}
		framed, err := Append(nil, framing, in)
		if err != nil {
			return
		}
		back, err := readAll(bytes.NewReader(framed), framing, limit)
		if len(back) != 1 || back[0] != string(in) || !errors.Is(err, io.EOF) {
			t.Fatalf("%q became %q, %v", in, back, err)
		}
	})
}

// A chunkReader gives a few bytes at a time.
type chunkReader struct {
	in   []byte
	size int
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.in[:min(r.size, len(r.in))])
	r.in = r.in[n:]
	return n, nil
}

func FuzzLine(f *testing.F)    { fuzzFraming(f, Line) }
func FuzzNUL(f *testing.F)     { fuzzFraming(f, NUL) }
func FuzzLen16(f *testing.F)   { fuzzFraming(f, Len16) }
func FuzzLen32(f *testing.F)   { fuzzFraming(f, Len32) }
func FuzzUvarint(f *testing.F) { fuzzFraming(f, Uvarint) }
