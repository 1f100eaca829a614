package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample is a work with every kind of outcome.
func sample() workReport { return samples()[0] }

func samples() []workReport {
	w := work{
		name: "round trip", scheme: "unix", place: same, metric: metric{unit: "us", less: true}, base: "net",
		contenders: []contender{
			{name: "C"},
			{name: "net"},
			{name: "tincan", target: ratio(1.03)},
			{name: "slow", target: ratio(1.03)},
			{name: "big", target: absolute(4)},
			{name: "absent", target: ratio(2)},
			{name: "broken", target: ratio(2)},
			{name: "behind", target: &target{limit: 1.03, ahead: []string{"broken", "C"}}},
		},
	}
	of := func(samples ...float64) (numbers [][]float64) {
		for _, s := range samples {
			numbers = append(numbers, []float64{s, 2 * s})
		}
		return numbers
	}
	beside := w
	beside.name, beside.base = "twice", "C"
	w.beside = &beside
	return newWorkReports("streams", w, []result{
		{samples: of(5, 5, 5, 5, 5)},
		{samples: of(10, 9, 11, 10, 10)},
		{samples: of(10, 9, 11, 10, 10.5)},
		{samples: of(20, 18, 22, 20, 20)},
		{samples: of(3, 3, 3, 3, 123.4)},
		{missing: "socat"},
		{samples: of(1), err: fmt.Errorf("first\n%w", io.ErrUnexpectedEOF)},
		{samples: of(10, 9, 11, 10, 10)},
	})
}

func TestNumbersBeside(t *testing.T) {
	r := samples()[1]
	if c := r.Contenders[1]; r.Work != "twice" || r.Placement != same || c.Name != "net" || c.Median != 20 || c.Ratio.Median != 2 {
		t.Errorf("%+v", r)
	}
}

func TestWorkReportTable(t *testing.T) {
	var b strings.Builder
	if err := sample().write(&b); err != nil {
		t.Fatal(err)
	}
	want := `
streams: round trip, same core (us, lower is better)
           median      min      max     x net  range
  C          5.00     5.00     5.00     0.500  0.455..0.556
  net        10.0     9.00     11.0     1.000  1.000..1.000
  tincan     10.0     9.00     11.0     1.000  1.000..1.050   <= 1.03 x net: reached
  slow       20.0     18.0     22.0     2.000  2.000..2.000   <= 1.03 x net: NOT REACHED
  big        3.00     3.00      123     0.300  0.273..12.340  <= 4 us: reached
  absent missing: socat
  broken FAILED: first; unexpected EOF
  behind     10.0     9.00     11.0     1.000  1.000..1.000   <= 1.03 x net, ahead of broken, C: NOT REACHED
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestCount(t *testing.T) {
	r := &report{Works: []workReport{sample(), sample()}}
	targets, reached, failed, missing := r.count()
	if targets != 8 || reached != 4 || failed != 2 || !reflect.DeepEqual(missing, []string{"socat"}) {
		t.Errorf("%d targets, %d reached, %d failed, missing %v", targets, reached, failed, missing)
	}
}

func TestFinish(t *testing.T) {
	whole := workReport{Contenders: []contenderReport{{Name: "net"}}}
	lacking := workReport{Contenders: []contenderReport{{Name: "ncat", Missing: "ncat"}}}
	for _, test := range []struct {
		name    string
		work    workReport
		require bool
		fails   bool
	}{
		{"whole", whole, true, false},
		{"a rival is missing", lacking, false, false},
		{"a rival is missing and required", lacking, true, true},
		{"a contender failed", sample(), false, true},
	} {
		var b strings.Builder
		err := (&report{Works: []workReport{test.work}}).finish(&b, &config{require: test.require})
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}
		if named := strings.Contains(b.String(), "missing: ncat"); named != (test.work.Contenders[0].Missing != "") {
			t.Errorf("%s: the missing rival is named: %v", test.name, named)
		}
	}
}

func TestSaveReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results", "r.json")
	want := &report{Repetitions: 5, LoadSeconds: 0.5, System: system{Kernel: "Linux 6", Versions: map[string]string{"gcc": "12"}}, Works: []workReport{sample()}}
	if err := want.save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := &report{}
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0.1234: "0.123", 3.456: "3.46", 45.67: "45.7", 123.4: "123", 77600: "77600", -0.0004: "-0.000"} {
		if got := figure(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
