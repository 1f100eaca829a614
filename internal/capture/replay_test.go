package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
)

const ms = time.Millisecond

// conversation is a recording in which each side waits for the other.
func conversation(kind Kind) *Flow {
	return &Flow{Kind: kind, Events: []Event{
		{At: 10 * ms, From: First, Op: Data, Data: []byte("hello")},
		{At: 30 * ms, From: Second, Op: Data, Data: []byte("world")},
		{At: 75 * ms, From: First, Op: Data, Data: []byte("more")},
		{At: 76 * ms, From: First, Op: Data, Data: []byte("and more")},
		{At: 5 * time.Second, From: First, Op: End},
		{At: 5 * time.Second, From: Second, Op: Data, Data: []byte("bye")},
		{At: 5 * time.Second, From: Second, Op: End},
	}}
}

// pair gives two connected streams of this process.
func pair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), "mem:"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return connect(t, l)
}

func connect(t *testing.T, l *tincan.Listener) (dialled, accepted net.Conn) {
	t.Helper()
	dialled, err := tincan.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = dialled.Close(), accepted.Close() })
	return dialled, accepted
}

// arrival is what a test's peer got, and when.
type arrival struct {
	At   time.Duration
	Data string // "EOF" for the end
}

// answer reads from c and answers each read with the next of replies.
func answer(c net.Conn, replies ...string) (got []arrival) {
	start := time.Now()
	buf := make([]byte, 1000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			got = append(got, arrival{time.Since(start), "EOF"})
		} else {
			got = append(got, arrival{time.Since(start), string(buf[:n])})
		}
		if len(replies) > 0 {
			if _, err := c.Write([]byte(replies[0])); err != nil {
				return append(got, arrival{time.Since(start), err.Error()})
			}
			replies = replies[1:]
		}
		if err != nil {
			_ = tincan.CloseWrite(c)
			return got
		}
	}
}

// TestReplayTiming shows that each piece is sent when it was sent in the recording, to the nanosecond of a clock that does nothing else.
func TestReplayTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		got := make(chan []arrival, 1)
		go func() { got <- answer(peer, "world", "", "", "bye") }()
		var out bytes.Buffer
		report, err := Replay(t.Context(), conversation(Stream), c, &ReplayOptions{Answer: &out})
		if err != nil {
			t.Fatal(err)
		}
		want := []arrival{{10 * ms, "hello"}, {75 * ms, "more"}, {76 * ms, "and more"}, {5 * time.Second, "EOF"}}
		if diff := cmp.Diff(want, <-got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if want := (Report{Sent: 17, Received: 8, Wanted: 8, Ending: End, WantedEnding: End}); report != want || out.String() != "worldbye" {
			t.Errorf("%+v, wrote %q", report, &out)
		}
	})
}

// TestReplayFast shows that nothing but the peer's answers is waited for, and those are.
func TestReplayFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		got := make(chan []arrival, 1)
		go func() {
			buf := make([]byte, 100)
			n, _ := peer.Read(buf)
			time.Sleep(3 * time.Second) // a slow peer: the rest must not come before its answer
			_, _ = peer.Write([]byte("world"))
			got <- append([]arrival{{0, string(buf[:n])}}, answer(peer)...)
		}()
		f := conversation(Stream)
		f.Events = append(f.Events[:5:5], f.Events[6])
		report, err := Replay(t.Context(), f, c, &ReplayOptions{Fast: true})
		if err != nil || !report.Same() {
			t.Fatalf("%+v, %v", report, err)
		}
		var all string
		for _, a := range <-got {
			if a.At != 0 {
				t.Errorf("%q came %v after the answer", a.Data, a.At)
			}
			all += a.Data
		}
		if all != "hellomoreand moreEOF" {
			t.Errorf("the peer got %q", all)
		}
	})
}

// TestReplayPatience shows how long a peer that says nothing is waited for.
func TestReplayPatience(t *testing.T) {
	for _, fast := range []bool{false, true} {
		t.Run(fmt.Sprint("fast ", fast), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := pair(t)
				start := time.Now()
				report, err := Replay(t.Context(), conversation(Stream), c, &ReplayOptions{Fast: fast, Wait: time.Second})
				want := 6 * time.Second
				if fast {
					want = 2 * time.Second // once for the first answer, once at the end
				}
				if took := time.Since(start); err != nil || took != want {
					t.Errorf("%v after %v", err, took)
				}
				if report.Sent != 17 || report.Same() || report.Ending != Data || *report.Difference != (Difference{}) {
					t.Errorf("%+v", report)
				}
			})
		})
	}
}

// TestReplayCompare shows where an answer is found to differ.
func TestReplayCompare(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
		want    *Difference
		end     Op
	}{
		{name: "same", answers: []string{"world", "bye"}, end: End},
		{name: "cut elsewhere", answers: []string{"wor", "ldb", "ye"}, end: End},
		{name: "a byte", answers: []string{"world", "bYe"}, want: &Difference{Offset: 6}, end: End},
		{name: "a byte across a cut", answers: []string{"worldb", "xe"}, want: &Difference{Offset: 6}, end: End},
		{name: "less", answers: []string{"world", "b"}, want: &Difference{Offset: 6}, end: End},
		{name: "more", answers: []string{"worldbye", "!"}, want: &Difference{Offset: 8}, end: End},
		{name: "nothing", want: &Difference{}, end: End},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := pair(t)
				go func() {
					for _, a := range tt.answers {
						_, _ = peer.Write([]byte(a))
						time.Sleep(ms)
					}
					_ = tincan.CloseWrite(peer)
					_, _ = io.Copy(io.Discard, peer)
				}()
				report, err := Replay(t.Context(), conversation(Stream), c, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, report.Difference); diff != "" || report.Ending != tt.end || report.Same() != (tt.want == nil) {
					t.Errorf("%+v\n%s", report, diff)
				}
			})
		})
	}
}

// TestReplayEnds shows what ends a replay early.
func TestReplayEnds(t *testing.T) {
	t.Run("ctx", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := pair(t)
			ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
			defer cancel()
			start := time.Now()
			report, err := Replay(ctx, conversation(Stream), c, &ReplayOptions{Wait: -1})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 50*ms || report.Sent != 5 {
				t.Errorf("%+v, %v after %v", report, err, time.Since(start))
			}
		})
	})
	t.Run("ctx at the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := pair(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			report, err := Replay(ctx, conversation(Stream), c, &ReplayOptions{Wait: -1})
			if !errors.Is(err, context.DeadlineExceeded) || report.Sent != 17 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	})
	t.Run("output", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, peer := pair(t)
			_, _ = peer.Write([]byte("world"))
			full := errors.New("full")
			start := time.Now()
			_, err := Replay(t.Context(), conversation(Stream), c, &ReplayOptions{Answer: failing{full}})
			if !errors.Is(err, full) || time.Since(start) != 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("kind", func(t *testing.T) {
		if _, err := Replay(t.Context(), conversation(Messages), nil, nil); !errors.Is(err, ErrKind) {
			t.Error(err)
		}
		if _, err := ReplayMessages(t.Context(), conversation(Stream), nil, nil); !errors.Is(err, ErrKind) {
			t.Error(err)
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestReplayReset plays resets over TCP: of the side that is played, and of the peer where the recording has one and where not.
func TestReplayReset(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	begin := Event{From: First, Op: Data, Data: []byte("hello")}

	t.Run("own", func(t *testing.T) {
		c, peer := connect(t, l)
		if _, err := Replay(t.Context(), &Flow{Events: []Event{begin, {From: First, Op: Reset}}}, c, nil); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, peer); tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("the peer read %v", err)
		}
	})
	for _, recorded := range []bool{true, false} {
		t.Run(fmt.Sprint("recorded ", recorded), func(t *testing.T) {
			c, peer := connect(t, l)
			go func() {
				_, _ = io.ReadFull(peer, make([]byte, 5))
				_ = tincan.Abort(peer)
			}()
			f := &Flow{Events: []Event{begin, {From: Second, Op: End}}}
			if recorded {
				f.Events[1].Op = Reset
			}
			report, err := Replay(t.Context(), f, c, nil)
			if report.Ending != Reset || report.Same() != recorded || (err == nil) != recorded || !recorded && tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// TestReplayMessages plays messages with their timing and compares each.
func TestReplayMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := tincan.ListenMessage(t.Context(), "mem:"+t.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		c, err := tincan.DialMessage(t.Context(), "mem:"+t.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		peer, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = peer.Close() }()
		got := make(chan []arrival, 1)
		start := time.Now()
		go func() {
			var all []arrival
			for buf := make([]byte, 100); ; {
				n, err := peer.ReadMessage(t.Context(), buf)
				if err != nil {
					got <- all
					return
				}
				all = append(all, arrival{time.Since(start), string(buf[:n])})
				_ = peer.WriteMessage(t.Context(), bytes.ToUpper(buf[:n]))
			}
		}()
		f := &Flow{Kind: Messages, Events: []Event{
			{At: 0, From: First, Data: []byte("a")},
			{At: ms, From: Second, Data: []byte("A")},
			{At: 2 * ms, From: First, Data: []byte{}},
			{At: 2 * ms, From: Second, Data: []byte{}},
			{At: time.Hour, From: First, Data: []byte("b")},
			{At: time.Hour, From: Second, Data: []byte("?")},
		}}
		report, err := ReplayMessages(t.Context(), f, c, nil)
		want := Report{Sent: 2, Received: 2, Wanted: 2, Difference: &Difference{Message: 2}}
		if diff := cmp.Diff(want, report); err != nil || diff != "" {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}
		_ = c.Close()
		if diff := cmp.Diff([]arrival{{0, "a"}, {2 * ms, ""}, {time.Hour, "b"}}, <-got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestRecordAndReplay records a conversation over real sockets, plays it to the same service, records that too and compares:
// the same bytes, the same directions, and the times of what is played within 10 ms.
func TestRecordAndReplay(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	take := func(drive func(c net.Conn)) *Flow {
		path := recordFile(t, func(w *Writer) {
			c, peer := connect(t, l)
			rec := w.Connection(Stream, peer.RemoteAddr(), l.Addr())
			defer rec.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				for buf := make([]byte, 100); ; {
					n, err := peer.Read(buf)
					if err != nil {
						break
					}
					rec.Data(First, buf[:n])
					rec.Data(Second, buf[:n])
					_, _ = peer.Write(buf[:n])
				}
				rec.End(First)
				rec.Data(Second, []byte("bye"))
				rec.End(Second)
				_, _ = peer.Write([]byte("bye"))
				_ = peer.Close()
			}()
			drive(c)
			<-served
		})
		return readFile(t, path).Flows[0]
	}
	recorded := take(func(c net.Conn) {
		for i, pause := range []time.Duration{0, 30 * ms, 5 * ms, 60 * ms} {
			time.Sleep(pause) // which is recorded
			_, _ = fmt.Fprint(c, "message ", i)
			_, _ = io.ReadFull(c, make([]byte, 9))
		}
		time.Sleep(20 * ms)
		_ = tincan.CloseWrite(c)
		_, _ = io.Copy(io.Discard, c)
	})
	type due struct {
		n  int // bytes that the client has sent by then
		at time.Duration
	}
	var left []due
	n := 0
	for _, e := range recorded.Events {
		if e.From == First {
			n += weight(e)
			left = append(left, due{n, e.At})
		}
	}
	if len(left) != 5 {
		t.Fatalf("recorded %v", steps(recorded))
	}
	// No piece is ever sent too soon. Another program may hold the processor just when one is due, so that it comes late and
	// with the next: each has to come on time in one of some tries. The bytes have to be the same in all.
	const tries, limit = 100, 10 * ms
	for try := 1; len(left) > 0; try++ {
		var report Report
		replayed := take(func(c net.Conn) {
			var err error
			if report, err = Replay(t.Context(), recorded, c, nil); err != nil {
				t.Error(err)
			}
		})
		if !report.Same() || report.Received != 39 || sent(replayed) != sent(recorded) {
			t.Fatalf("%+v, %q", report, sent(replayed))
		}
		left = slices.DeleteFunc(left, func(d due) bool {
			late := sentBy(replayed, d.n) - d.at
			if late < -limit {
				t.Fatalf("what was due after %v came %v too soon", d.at, -late)
			}
			return late <= limit
		})
		if try == tries && len(left) > 0 {
			t.Fatalf("in no try the pieces %v were on time", left)
		}
	}
}

// weight is how much e adds to what its side has sent; its end counts as a byte.
func weight(e Event) int {
	if e.Op == End {
		return 1
	}
	return len(e.Data)
}

// sentBy gives when the client had sent n bytes.
func sentBy(f *Flow, n int) time.Duration {
	for _, e := range f.Events {
		if e.From == First {
			n -= weight(e)
		}
		if n <= 0 {
			return e.At
		}
	}
	return math.MaxInt64
}

// sent gives what each side of f sent.
func sent(f *Flow) (all [2]string) {
	for _, e := range f.Events {
		all[e.From] += string(e.Data)
	}
	return all
}
