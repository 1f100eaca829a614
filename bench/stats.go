package main

import "slices"

// A summary is what several repetitions come to.
type summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarize gives the zero summary of no samples.
func summarize(samples []float64) summary {
	if len(samples) == 0 {
		return summary{}
	}
	s := slices.Sorted(slices.Values(samples))
	mid := len(s) / 2
	median := s[mid]
	if len(s)%2 == 0 {
		median = (s[mid-1] + s[mid]) / 2
	}
	return summary{Median: median, Min: s[0], Max: s[len(s)-1]}
}

// ratios divides each sample by that of the base of the same repetition, which
// ran next to it: what disturbs the machine for longer falls on both.
func ratios(samples, base []float64) []float64 {
	n := min(len(samples), len(base))
	out := make([]float64, 0, n)
	for i := range n {
		if base[i] != 0 {
			out = append(out, samples[i]/base[i])
		}
	}
	return out
}
