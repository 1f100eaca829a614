package cli

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestPartsFormat(t *testing.T) {
	tests := []struct {
		format, separator string
		parts             []string
		line              string
	}{
		{"text", "\t", []string{"one"}, "one"},
		{"text", "\t", []string{""}, ""},
		{"text", "\t", []string{"", ""}, "\t"},
		{"text", "::", []string{"one", "", "t:hree"}, "one::::t:hree"},
		{"hex", "\t", []string{"\x00\n\t", "", "AZ"}, "000a09\t\t415a"},
		{"json", "\t", []string{"one", "", "<\t\n>"}, `{"parts":["one","","<\t\n>"]}`},
		{"json", "\t", []string{"\xff"}, `{"parts":[{"base64":"/w=="}]}`},
	}
	for _, test := range tests {
		f, err := newPartsFormat(test.format, test.separator)
		if err != nil {
			t.Fatal(err)
		}
		var parts [][]byte
		for _, part := range test.parts {
			parts = append(parts, []byte(part))
		}
		if got := string(f.appendLine(nil, parts)); got != test.line {
			t.Errorf("%s of %q is %q, want %q", test.format, test.parts, got, test.line)
		}
		got, err := f.parts([]byte(test.line))
		if err != nil {
			t.Errorf("%s %q: %v", test.format, test.line, err)
		} else if !slices.EqualFunc(got, parts, bytes.Equal) {
			t.Errorf("%s %q has the parts %q, want %q", test.format, test.line, got, parts)
		}
	}
}

func TestPartsFormatRefuses(t *testing.T) {
	for _, test := range []struct{ format, line string }{
		{"hex", "0"},
		{"hex", "00\t0g"},
		{"json", ""},
		{"json", `{}`},
		{"json", `{"parts":[]}`},
		{"json", `{"parts":["a"]} {"parts":["b"]}`},
		{"json", `{"parts":["a"],"more":1}`},
		{"json", `{"parts":[1]}`},
		{"json", `{"parts":[{}]}`},
		{"json", `{"parts":[{"base64":"?"}]}`},
		{"json", `{"parts":[{"base64":"","hex":""}]}`},
	} {
		f, err := newPartsFormat(test.format, "\t")
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := f.parts([]byte(test.line)); err == nil {
			t.Errorf("%s takes %q as %q", test.format, test.line, parts)
		}
	}
	for _, flags := range [][2]string{{"xml", "\t"}, {"text", ""}, {"text", "\n"}, {"hex", "0"}} {
		var usage *usageError
		if _, err := newPartsFormat(flags[0], flags[1]); !errors.As(err, &usage) {
			t.Errorf("--format %s --separator %q: %v, want a usage error", flags[0], flags[1], err)
		}
	}
}

// FuzzPartsFormat asserts that what a line says comes back from what is made of it.
func FuzzPartsFormat(f *testing.F) {
	for _, line := range []string{"", "one\ttwo", "00\tff", `{"parts":["a",{"base64":"/w=="}]}`, `{"parts":["\ud800"]}`} {
		for format := range 3 {
			f.Add(byte(format), line)
		}
	}
	f.Fuzz(func(t *testing.T, format byte, line string) {
		p, err := newPartsFormat([]string{"text", "hex", "json"}[format%3], "\t")
		if err != nil {
			t.Fatal(err)
		}
		parts, err := p.parts([]byte(line))
		if err != nil {
			return
		}
		again, err := p.parts(p.appendLine(nil, parts))
		if err != nil || !slices.EqualFunc(again, parts, bytes.Equal) {
			t.Fatalf("%s %q: %q came back as %q, %v", p.name, line, parts, again, err)
		}
	})
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"one", []string{"one"}},
		{"one\n\ntwo\n", []string{"one", "", "two"}},
		{long + "\n" + long, []string{long, long}},
	} {
		r := newLineReader(iotest.HalfReader(strings.NewReader(test.in)))
		var got []string
		for {
			line, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := newLineReader(io.LimitReader(endlessLine{}, 2*maxLine)).next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a line without an end gives %v", err)
	}
}

// endlessLine is an input of one line.
type endlessLine struct{}

func (endlessLine) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}
