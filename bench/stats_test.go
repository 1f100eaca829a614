package main

import (
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		name    string
		samples []float64
		want    summary
	}{
		{"none", nil, summary{}},
		{"one", []float64{3}, summary{3, 3, 3}},
		{"odd", []float64{5, 1, 4, 2, 100}, summary{Median: 4, Min: 1, Max: 100}},
		{"even", []float64{4, 1, 3, 2}, summary{Median: 2.5, Min: 1, Max: 4}},
		{"negative", []float64{-1, -3, 2}, summary{Median: -1, Min: -3, Max: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := slices.Clone(test.samples)
			if got := summarize(test.samples); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if !slices.Equal(before, test.samples) {
				t.Errorf("the samples were put in another order: %v", test.samples)
			}
		})
	}
}

// A machine that slows down in the middle falls on both, and so the ratios
// stay what they are; the ratio of the medians would not.
func TestRatiosPairRepetitions(t *testing.T) {
	base := []float64{1, 1, 10, 10, 10}
	samples := []float64{2, 2, 20, 20}
	got := ratios(samples, base)
	if want := []float64{2, 2, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ratios([]float64{1, 2}, []float64{0, 4}); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("with a base of 0: %v", got)
	}
}

func TestTargetReached(t *testing.T) {
	less, more := metric{unit: "us", less: true}, metric{unit: "1/s"}
	for _, test := range []struct {
		name          string
		target        *target
		metric        metric
		median, ratio float64
		want          bool
	}{
		{"ratio, less, on it", ratio(1.03), less, 50, 1.03, true},
		{"ratio, less, over", ratio(1.03), less, 0.5, 1.031, false},
		{"ratio, more, on it", ratio(0.75), more, 1, 0.75, true},
		{"ratio, more, under", ratio(0.75), more, 1e6, 0.749, false},
		{"absolute, less, under", absolute(4), less, 3.9, 90, true},
		{"absolute, less, over", absolute(4), less, 4.1, 0.1, false},
		{"absolute, more, under", absolute(5), more, 4.9, 9, false},
	} {
		if got := test.target.reached(test.metric, test.median, test.ratio, nil); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
