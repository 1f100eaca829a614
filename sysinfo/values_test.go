package sysinfo

import (
	"strings"
	"testing"
)

func TestGauge(t *testing.T) {
	tests := []struct {
		name           string
		told           any // nil: nothing yet
		x, unit, apart float64
		want           float64
	}{
		{"the first is rounded", nil, 41.4, 1, 2, 41},
		{"less than apart stays", 41.0, 42.9, 1, 2, 41},
		{"also downwards", 41.0, 39.1, 1, 2, 41},
		{"as much as apart is told", 41.0, 43, 1, 2, 43},
		{"bytes in MiB", nil, 3.6 * mib, mib, mib, 4 * mib},
		{"parts of one", nil, 0.1049, 0.01, 0.05, 0.10},
		{"parts that no binary number has", nil, 1.149, 0.05, 0.05, 1.15},
	}
	for _, test := range tests {
		v := &values{told: map[string]any{}, now: map[string]any{}}
		if test.told != nil {
			v.told["k"] = test.told
		}
		v.gauge("k", test.x, test.unit, test.apart)
		if got := v.now["k"]; got != test.want {
			t.Errorf("%s: %v becomes %v, want %v", test.name, test.x, got, test.want)
		}
	}
}

func TestCounter(t *testing.T) {
	tests := []struct {
		name    string
		told    any
		n, want uint64
	}{
		{"the first", nil, 77, 77},
		{"a little more", uint64(1000), 1099, 1000},
		{"enough more", uint64(1000), 1100, 1100},
		{"begun again", uint64(1000), 3, 3},
	}
	for _, test := range tests {
		v := &values{told: map[string]any{}, now: map[string]any{}}
		if test.told != nil {
			v.told["k"] = test.told
		}
		v.counter("k", test.n, 100)
		if got := v.now["k"]; got != test.want {
			t.Errorf("%s: %d becomes %v, want %d", test.name, test.n, got, test.want)
		}
	}
}

func TestNameable(t *testing.T) {
	for name, want := range map[string]bool{
		"eth0": true, "/srv/été": true, "": false, "a\nb": false, "\xff": false, strings.Repeat("x", maxName+1): false,
	} {
		if nameable(name) != want {
			t.Errorf("nameable(%q) is %v", name, !want)
		}
	}
}
