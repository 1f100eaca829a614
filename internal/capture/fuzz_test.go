package capture

import (
	"bytes"
	"os"
	"runtime"
	"testing"
)

// FuzzRead shows that no file makes the reader panic, hang or take much more
// memory than it is long, and that what it gives keeps its promises.
func FuzzRead(f *testing.F) {
	for _, name := range foreign {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err) // a seed that is missing is an error
		}
		f.Add(data)
	}
	for _, s := range stories() {
		f.Add(recorded(f, func(w *Writer) { w.Connection(s.kind, s.first, s.second).play(shorten(s.steps)) }))
	}
	for name, fr := range frames() {
		f.Add(file(f, fr, name == "raw", []seg{{flags: "S"}, {back: true, flags: "SA"}, {seq: 3, data: "def"}, {data: "abc"}, {seq: 6, flags: "F"}, {back: true, flags: "R"}}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := Read(bytes.NewReader(data))
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, 4<<20+uint64(len(data))*300; used > most {
			t.Errorf("%d bytes of file took %d bytes of memory", len(data), used)
		}
		if r == nil {
			if err == nil {
				t.Fatal("nothing at all")
			}
			return
		}
		total := 0
		for _, f := range r.Flows {
			for i, e := range f.Events {
				total += len(e.Data)
				if e.At < 0 || i > 0 && e.At < f.Events[i-1].At {
					t.Fatalf("event %d is at %v", i, e.At)
				}
				if e.Op != Data && e.Data != nil || f.Kind == Stream && e.Op == Data && len(e.Data) == 0 {
					t.Fatalf("event %d is %v with %d bytes", i, e.Op, len(e.Data))
				}
			}
			if f.Missing[First] < 0 || f.Missing[Second] < 0 {
				t.Fatalf("missing %v", f.Missing)
			}
		}
		if total > len(data) {
			t.Fatalf("%d bytes of data from a file of %d", total, len(data))
		}
	})
}

// shorten keeps seeds small.
func shorten(steps []step) []step {
	out := make([]step, len(steps))
	for i, s := range steps {
		s.Data = s.Data[:min(len(s.Data), 100)]
		out[i] = s
	}
	return out
}
