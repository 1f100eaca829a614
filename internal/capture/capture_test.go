package capture

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// roomy holds whatever a test records: on a busy machine too, nothing is lost.
var roomy = &Options{Buffer: 256 << 20}

// recordFile writes a file and gives its path.
func recordFile(t *testing.T, fill func(w *Writer)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.pcapng")
	w, err := Create(path, roomy)
	if err != nil {
		t.Fatal(err)
	}
	fill(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if lost := w.Lost(); lost != (Lost{}) {
		t.Fatalf("lost %+v", lost)
	}
	return path
}

// readFile reads a file that must be without fault.
func readFile(t *testing.T, path string) *Recording {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Skipped != 0 || r.Dropped != 0 {
		t.Errorf("%d skipped, %d dropped", r.Skipped, r.Dropped)
	}
	return r
}

// A step is an event without its time and with stream bytes joined.
type step struct {
	From Side
	Op   Op
	Data string
}

// steps gives what f tells, adjacent data of a side in one piece unless it is messages.
func steps(f *Flow) []step {
	var out []step
	for _, e := range f.Events {
		if n := len(out); n > 0 && f.Kind == Stream && e.Op == Data && out[n-1].Op == Data && out[n-1].From == e.From {
			out[n-1].Data += string(e.Data)
			continue
		}
		out = append(out, step{e.From, e.Op, string(e.Data)})
	}
	return out
}

// play records the steps on c.
func (c *Connection) play(steps []step) {
	for _, s := range steps {
		switch s.Op {
		case Data:
			c.Data(s.From, []byte(s.Data))
		case End:
			c.End(s.From)
		case Reset:
			c.Reset(s.From)
		}
	}
	c.Close()
}

func pattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return string(b)
}

func tcp(s string) net.Addr  { a, _ := net.ResolveTCPAddr("tcp", s); return a }
func udp(s string) net.Addr  { a, _ := net.ResolveUDPAddr("udp", s); return a }
func unix(s string) net.Addr { return &net.UnixAddr{Net: "unix", Name: s} }

// The same as a socket without a name, of a kind with a network of its own.
func unixgram(s string) net.Addr { return &net.UnixAddr{Net: "unixgram", Name: s} }

// A story is a connection that the tests write and expect back.
type story struct {
	name          string
	kind          Kind
	first, second net.Addr
	steps         []step
}

// stories are what both the reader and tshark are shown.
func stories() []story {
	return []story{
		{"half-close", Stream, tcp("127.0.0.1:40001"), tcp("127.0.0.1:40002"), []step{
			{First, Data, "hello\n"}, {Second, Data, "world\n"}, {First, End, ""}, {Second, Data, "bye\n"}, {Second, End, ""},
		}},
		{"second ends first", Stream, tcp("[::1]:40003"), tcp("[::1]:40004"), []step{
			{Second, Data, "banner"}, {Second, End, ""}, {First, Data, "late"}, {First, End, ""},
		}},
		{"reset by first", Stream, tcp("127.0.0.1:40005"), tcp("127.0.0.1:40006"), []step{{First, Data, "cut"}, {First, Reset, ""}}},
		{"reset by second", Stream, tcp("10.0.0.1:40007"), unix("/run/app.sock"), []step{{First, Data, "x"}, {First, End, ""}, {Second, Reset, ""}}},
		{"versions mixed", Stream, tcp("[2001:db8::5]:40009"), tcp("10.0.0.2:40010"), []step{{First, Data, "6 to 4"}}},
		{"unix", Stream, unix(""), unix("@abstract"), []step{{First, Data, pattern(200_000)}, {Second, Data, pattern(100_001)}}},
		{"nothing known", Stream, nil, nil, []step{{Second, Data, "a"}, {First, End, ""}}},
		{"udp", Messages, udp("127.0.0.1:40011"), udp("127.0.0.1:40012"), []step{
			{First, Data, "a"}, {First, Data, ""}, {Second, Data, "b"}, {First, Data, pattern(maxDatagram)},
		}},
		{"udp over IPv6", Messages, udp("[::1]:40013"), udp("[::1]:40014"), []step{{Second, Data, pattern(maxDatagram)}, {First, Data, ""}}},
		{"long messages", Messages, unixgram("/a"), unixgram("/b"), []step{
			{First, Data, pattern(212_992)},
			{First, Data, ""},
			{First, Data, ""},
			{Second, Data, "b"},
			{First, Data, pattern(maxSegment)},
			{First, Data, pattern(2 * maxSegment)},
			{First, End, ""},
			{Second, Data, ""},
			{Second, End, ""},
		}},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			path := recordFile(t, func(w *Writer) { w.Connection(s.kind, s.first, s.second).play(s.steps) })
			r := readFile(t, path)
			if len(r.Flows) != 1 {
				t.Fatalf("%d flows", len(r.Flows))
			}
			f := r.Flows[0]
			if f.Kind != s.kind || f.Missing != [2]int64{} {
				t.Errorf("kind %v, missing %v", f.Kind, f.Missing)
			}
			if got, want := f.Name, [2]string{nameOf(s.first), nameOf(s.second)}; got != want {
				t.Errorf("names %q, want %q", got, want)
			}
			for side, a := range []net.Addr{s.first, s.second} {
				if want := addrPort(a); want.IsValid() && (f.Addr[side].Addr().Unmap() != want.Addr() || f.Addr[side].Port() != want.Port()) {
					t.Errorf("%v side is %v, want %v", Side(side), f.Addr[side], want)
				}
			}
			if diff := cmp.Diff(s.steps, steps(f)); diff != "" {
				t.Errorf("-want +got:\n%.2000s", diff)
			}
		})
	}
}

// TestNothingRecorded shows the calls that have nothing to say.
func TestNothingRecorded(t *testing.T) {
	var w *Writer
	c := w.Connection(Stream, nil, nil)
	c.play([]step{{First, Data, "x"}, {First, End, ""}, {First, Reset, ""}})
	if err := w.Close(); err != nil || w.Lost() != (Lost{}) {
		t.Errorf("a nil Writer: %v, %v", err, w.Lost())
	}

	path := recordFile(t, func(w *Writer) {
		c := w.Connection(Stream, nil, nil)
		c.Data(First, nil)
		c.play([]step{{First, Data, "x"}, {First, End, ""}, {First, Data, "y"}, {Second, Reset, ""}, {Second, Data, "z"}})
		c.Data(Second, []byte("after Close"))
		u := w.Connection(Messages, udp("127.0.0.1:1"), nil)
		u.play([]step{{First, End, ""}, {Second, Reset, ""}})
	})
	want := []step{{First, Data, "x"}, {First, End, ""}, {Second, Reset, ""}}
	r := readFile(t, path)
	if diff := cmp.Diff(want, steps(r.Flows[0])); len(r.Flows) != 1 || diff != "" {
		t.Errorf("%d flows, -want +got:\n%s", len(r.Flows), diff)
	}
}

func TestCreateMode(t *testing.T) {
	path := recordFile(t, func(*Writer) {})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && os.PathSeparator == '/' {
		t.Errorf("mode %v", mode)
	}
	if r := readFile(t, path); len(r.Flows) != 0 {
		t.Errorf("an empty recording has %d flows", len(r.Flows))
	}
	if _, err := Create(filepath.Join(path, "x"), nil); err == nil {
		t.Error("a file in a file was created")
	}
}

// sink is a file in memory.
type sink struct{ bytes.Buffer }

func (*sink) Close() error { return nil }

// recorded gives a recording's bytes.
func recorded(tb testing.TB, fill func(w *Writer)) []byte {
	tb.Helper()
	var s sink
	w, err := newWriter(&s, roomy)
	if err != nil {
		tb.Fatal(err)
	}
	fill(w)
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return s.Bytes()
}
