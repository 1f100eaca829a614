//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package urgent_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
	"github.com/tincan-ipc/tincan/urgent"
)

// The mark stays at its byte when those around it come in small pieces, late.
func TestMarkAmongSlowPieces(t *testing.T) {
	for name, flow := range map[string]tincantest.Flow{
		"a byte at a time": {Piece: 1},
		"ragged and late":  {Piece: 4, Ragged: true, Jitter: 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := connect(t, "tcp4://:0")
			r := newReader(t, server)
			slow := tincantest.WrapFaulty(client, tincantest.Faults{Seed: 1, Write: flow})
			sent := make(chan error, 1)
			go func() {
				for _, part := range []string{"before the mark, ", "after it, ", "and at the end"} {
					_, err := io.WriteString(slow, part)
					if err == nil && part != "and at the end" {
						err = urgent.Send(client, '!')
					}
					if err != nil {
						sent <- err
						return
					}
				}
				sent <- tincan.CloseWrite(slow)
			}()
			got := transcript(t, r, 3)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			// A mark that was not read before the next was sent is an ordinary byte.
			first, second := "before the mark, [!]after it, [!]and at the end", "before the mark, !after it, [!]and at the end"
			if got != first && got != second {
				t.Errorf("received %q", got)
			}
		})
	}
}

// A reset at any byte around the mark is told as one, behind bytes in their
// order; no byte is marked that was not.
func TestResetAroundTheMark(t *testing.T) {
	const text = "abcd" // the mark goes behind its second byte
	for at := range len(text) + 1 {
		for range 50 {
			client, server := connect(t, "tcp4://:0")
			r := newReader(t, server)
			broken := tincantest.WrapFaulty(client, tincantest.Faults{Write: tincantest.Flow{
				Piece: 1, End: tincantest.Reset, At: int64(at),
			}})
			go func() {
				for i := range len(text) {
					if _, err := io.WriteString(broken, text[i:i+1]); err != nil {
						return
					}
					if i == 1 {
						_ = urgent.Send(client, '!') // the reset may have come before
					}
				}
				_ = tincan.Abort(broken)
			}()
			var got string
			var err error
			for p := make([]byte, 10); err == nil; {
				var n int
				var marked bool
				n, marked, err = r.Receive(p)
				if marked && string(p[:n]) != "!" {
					t.Fatalf("reset at byte %d: %q is marked", at, p[:n])
				}
				got += string(p[:n])
			}
			if tincan.KindOf(err) != tincan.KindReset {
				t.Fatalf("reset at byte %d: %q, then %v", at, got, err)
			}
			if whole := "ab!cd"; len(got) > len(whole) || got != whole[:len(got)] {
				t.Fatalf("reset at byte %d: %q arrived", at, got)
			}
		}
	}
}

// Faults are not gone round: to urgent data a connection that has them is none of TCP's own.
func TestNotThroughFaults(t *testing.T) {
	client, _ := connect(t, "tcp4://:0")
	if err := urgent.Send(tincantest.WrapFaulty(client, tincantest.Faults{}), 'x'); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Send: %v, want ErrUnsupported", err)
	}
}
