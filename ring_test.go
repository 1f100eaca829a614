package tincan

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRingIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			r    ring[byte]
			want []byte
			next byte
		)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 200).Draw(t, "put"))
				for i := range p {
					p[i], next = next, next+1
				}
				r.put(p)
				want = append(want, p...)
			},
			"take": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 200).Draw(t, "take"))
				n := r.take(p)
				if n != min(len(p), len(want)) || !slices.Equal(p[:n], want[:n]) {
					t.Fatalf("took %v, want the first of %v", p[:n], want)
				}
				want = want[n:]
			},
			"drop": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "drop")
				r.drop(n)
				want = want[n:]
			},
			"": func(t *rapid.T) {
				if r.n != len(want) {
					t.Fatalf("%d are queued, want %d", r.n, len(want))
				}
			},
		})
	})
}
