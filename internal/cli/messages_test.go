package cli

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestBursts: input is cut into messages where it pauses, and nowhere else.
func TestBursts(t *testing.T) {
	type write struct {
		after time.Duration
		text  string
	}
	for _, test := range []struct {
		name     string
		emptyToo bool
		writes   []write
		fault    error
		want     []string
	}{
		{name: "at once", writes: []write{{0, "a"}, {0, "b"}, {burstPause - 1, "c"}}, want: []string{"abc"}},
		{name: "paused", writes: []write{{0, "a"}, {2 * burstPause, "b"}, {2 * burstPause, "c"}}, want: []string{"a", "b", "c"}},
		{name: "late", writes: []write{{time.Hour, "a"}}, want: []string{"a"}},
		{name: "nothing"},
		{name: "nothing that counts", emptyToo: true, want: []string{""}},
		{name: "no empty one after others", emptyToo: true, writes: []write{{0, "a"}, {2 * burstPause, ""}}, want: []string{"a"}},
		{name: "fault", writes: []write{{0, "a"}}, fault: io.ErrNoProgress},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, out := io.Pipe()
				go func() {
					for _, w := range test.writes {
						time.Sleep(w.after)
						if w.text != "" {
							_, _ = io.WriteString(out, w.text)
						}
					}
					_ = out.CloseWithError(test.fault)
				}()
				b := &bursts{pieces: make(chan piece), emptyToo: test.emptyToo}
				go b.read(in)
				var got []string
				var err error
				for err == nil {
					var message []byte
					if message, err = b.next(); err == nil {
						got = append(got, string(message))
					}
				}
				want := test.fault
				if want == nil {
					want = io.EOF
				}
				if !slices.Equal(got, test.want) || !errors.Is(err, want) {
					t.Errorf("got %q, %v, want %q, %v", got, err, test.want, want)
				}
			})
		})
	}
}
