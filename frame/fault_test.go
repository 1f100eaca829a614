package frame_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
	"github.com/tincan-ipc/tincan/tincantest"
)

var framings = []frame.Framing{frame.Line, frame.NUL, frame.Len16, frame.Len32, frame.Uvarint}

// messages are of lengths around each bound there is.
func messages() (msgs []string) {
	for i, n := range []int{0, 1, 2, 0, 127, 128, 3, 0} {
		msgs = append(msgs, strings.Repeat(string(rune('a'+i)), n))
	}
	return msgs
}

// stream is messages in their frames; ends holds how many of them are whole after so many bytes, for where a frame ends.
func stream(t *testing.T, f frame.Framing) (b []byte, ends map[int]int) {
	t.Helper()
	ends = map[int]int{0: 0}
	for i, msg := range messages() {
		var err error
		if b, err = frame.Append(b, f, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		ends[len(b)] = i + 1
	}
	return b, ends
}

// connector gives pairs of connections, and closes them when the test ends.
func connector(t *testing.T, endpoint string) (connect func() (a, b net.Conn)) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return func() (a, b net.Conn) {
		a, err := tincan.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if b, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}

// receive reads messages until an error.
func receive(t *testing.T, c *frame.Conn) (msgs []string, err error) {
	t.Helper()
	for buf := make([]byte, 1000); ; {
		n, err := c.ReadMessage(t.Context(), buf)
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, string(buf[:n]))
	}
}

// However late and in however small pieces the bytes come, the messages are the same.
func TestConnOverSlowPieces(t *testing.T) {
	for name, flow := range map[string]tincantest.Flow{
		"a byte at a time": {Piece: 1},
		"a byte a second":  {Rate: 1},
		"ragged and late":  {Piece: 100, Ragged: true, Delay: time.Second, Jitter: time.Minute},
	} {
		for _, f := range framings {
			t.Run(name+" "+f.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := connector(t, "mem:frame-faults")()
					ca := frame.NewConn(tincantest.WrapFaulty(a, tincantest.Faults{Write: flow}), f, 0)
					cb := frame.NewConn(tincantest.WrapFaulty(b, tincantest.Faults{Seed: 1, Read: flow}), f, 0)
					defer ca.Close()
					defer cb.Close()
					go func() {
						for _, msg := range messages() {
							if err := ca.WriteMessage(t.Context(), []byte(msg)); err != nil {
								t.Error(err)
							}
						}
						_ = ca.Close()
					}()
					got, err := receive(t, cb)
					if diff := cmp.Diff(messages(), got); diff != "" || !errors.Is(err, io.EOF) {
						t.Errorf("%v (-want +got):\n%s", err, diff)
					}
				})
			})
		}
	}
}

// A reader whose patience ends at every moment between two bytes loses nothing.
func TestImpatientReader(t *testing.T) {
	for _, f := range framings {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := connector(t, "mem:frame-faults")()
				ca := frame.NewConn(tincantest.WrapFaulty(a, tincantest.Faults{Write: tincantest.Flow{Rate: 10}}), f, 0)
				cb := frame.NewConn(b, f, 0)
				defer ca.Close()
				defer cb.Close()
				go func() {
					for _, msg := range messages() {
						_ = ca.WriteMessage(t.Context(), []byte(msg))
					}
					_ = ca.Close()
				}()
				var got []string
				buf := make([]byte, 1000)
				for try := 1; ; try++ {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(try%7)*33*time.Millisecond)
					n, err := cb.ReadMessage(ctx, buf)
					cancel()
					if errors.Is(err, io.EOF) {
						break
					}
					if err == nil {
						got = append(got, string(buf[:n]))
					} else if !errors.Is(err, context.DeadlineExceeded) {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(messages(), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A stream that ends or breaks at any byte gives the whole messages before it,
// and the end as what it was: never a part of a message. A last line without its newline is
// a message where the stream ended in order, and only there.
func TestConnEndsAnywhere(t *testing.T) {
	for _, endpoint := range []string{"tcp4://:0", "mem:frame-faults"} {
		for _, end := range []tincantest.End{tincantest.HalfClose, tincantest.Cut, tincantest.Reset} {
			for _, f := range framings {
				t.Run(fmt.Sprint(endpoint[:3], " end ", end, " ", f), func(t *testing.T) {
					connect := connector(t, endpoint)
					bytes, ends := stream(t, f)
					for at := range len(bytes) + 1 {
						a, b := connect()
						faulty := tincantest.WrapFaulty(a, tincantest.Faults{Write: tincantest.Flow{End: end, At: int64(at)}})
						if n, err := faulty.Write(append(bytes, "more"...)); n != at || err == nil {
							t.Fatalf("wrote %d, %v; want %d and an error", n, err, at)
						}
						c := frame.NewConn(b, f, 0)
						got, err := receive(t, c)
						_ = c.Close()
						_ = faulty.Close()
						checkEnd(t, f, end, at, ends, got, err, endpoint == "mem:frame-faults" || runtime.GOOS != "linux")
					}
				})
			}
		}
	}
}

func checkEnd(t *testing.T, f frame.Framing, end tincantest.End, at int, ends map[int]int, got []string, err error, resetDiscards bool) {
	t.Helper()
	whole, between := 0, false
	for e, n := range ends {
		if e <= at {
			whole = max(whole, n)
		}
		between = between || e == at
	}
	want := messages()[:whole]
	switch {
	case end == tincantest.Reset:
		if tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("reset at byte %d: %v, want a reset", at, err)
		}
		// A reset takes away what was not read yet, but for that of Linux's TCP.
		if resetDiscards && len(got) <= len(want) {
			want = want[:len(got)]
		}
	case between && err != io.EOF:
		t.Errorf("end at byte %d: %v, want io.EOF", at, err)
	case !between && f == frame.Line:
		if len(got) != whole+1 || err != io.EOF {
			t.Errorf("end at byte %d: %d messages and %v, want %d and io.EOF", at, len(got), err, whole+1)
		} else {
			got = got[:whole]
		}
	case !between && !errors.Is(err, io.ErrUnexpectedEOF):
		t.Errorf("end at byte %d: %v, want io.ErrUnexpectedEOF", at, err)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
		t.Errorf("end at byte %d: got %q, want %q", at, got, want)
	}
}

// A reset in the middle of a message, over and over at any byte, while the
// receiver reads: it never gets a part, and always learns of the reset.
func TestResetsInTheMiddle(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 500
	}
	connect := connector(t, "tcp4://:0?backlog=1000")
	for _, f := range framings {
		framed, err := frame.Append(nil, f, bytes.Repeat([]byte("m"), 300))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rounds / len(framings) {
			at := 1 + i%(len(framed)-1)
			a, b := connect()
			c := frame.NewConn(b, f, 0)
			written := make(chan error, 1)
			go func() {
				faulty := tincantest.WrapFaulty(a, tincantest.Faults{Seed: uint64(i), Write: tincantest.Flow{
					Ragged: true, End: tincantest.Reset, At: int64(at),
				}})
				_, err := faulty.Write(framed)
				_ = faulty.Close()
				written <- err
			}()
			msgs, err := receive(t, c)
			if len(msgs) != 0 || tincan.KindOf(err) != tincan.KindReset {
				t.Fatalf("%v reset at byte %d of %d: %d messages, %v", f, at, len(framed), len(msgs), err)
			}
			_ = c.Close()
			if err := <-written; err == nil {
				t.Fatal("the whole frame was written")
			}
		}
	}
}

// A byte that went wrong on the way ends or changes messages, and does nothing worse.
func TestFlippedBytes(t *testing.T) {
	for _, f := range framings {
		bytes, _ := stream(t, f)
		connect := connector(t, "mem:frame-flips-"+f.String())
		for at := range bytes {
			for _, mask := range []byte{1, 0x80, 0xff} {
				a, b := connect()
				faulty := tincantest.WrapFaulty(a, tincantest.Faults{Write: tincantest.Flow{Flip: mask, FlipAt: int64(at)}})
				if _, err := faulty.Write(bytes); err != nil {
					t.Fatal(err)
				}
				_ = faulty.Close()
				c := frame.NewConn(b, f, 200)
				msgs, err := receive(t, c)
				var fault *frame.ProtocolError
				if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &fault) {
					t.Errorf("%v, byte %d ^ %#x: %v", f, at, mask, err)
				}
				for _, m := range msgs {
					if len(m) > 200 {
						t.Errorf("%v, byte %d ^ %#x: a message of %d bytes came over a limit of 200", f, at, mask, len(m))
					}
				}
				_ = c.Close()
			}
		}
	}
}

// A length that claims more than there is costs under 64 KiB, and where it is over the limit ends at once.
func TestConnLengthAllocatesNothing(t *testing.T) {
	for i, tt := range []struct {
		f     frame.Framing
		in    string
		limit int
	}{
		{frame.Len32, "\xff\xff\xff\xff", 0},
		{frame.Len32, "\xff\xff\xff\xff", math.MaxInt},
		{frame.Uvarint, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 0}, // 2^63-1
		{frame.Uvarint, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", math.MaxInt},
	} {
		a, b := connector(t, fmt.Sprint("mem:frame-length-", i))()
		if _, err := io.WriteString(a, tt.in+"some bytes"); err != nil {
			t.Fatal(err)
		}
		wants := frame.ErrTooLong
		if tt.limit != 0 { // only the end ends it
			wants = io.ErrUnexpectedEOF
			_ = a.Close()
		}
		buf := make([]byte, 100)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := frame.NewConn(b, tt.f, tt.limit).ReadMessage(t.Context(), buf)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, wants) {
			t.Errorf("%v, limit %d: %v, want %v", tt.f, tt.limit, err, wants)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n >= 64<<10 {
			t.Errorf("%v, limit %d: %d bytes allocated", tt.f, tt.limit, n)
		}
		_, _ = a.Close(), b.Close()
	}
}
