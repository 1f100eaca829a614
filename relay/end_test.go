package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"golang.org/x/time/rate"
)

// errorSide checks which connection an error blames.
func errorSide(t *testing.T, err error, first bool) {
	t.Helper()
	var end *relay.EndError
	if !errors.As(err, &end) || end.First() != first {
		t.Errorf("ended with %v; blame the first: %v", err, first)
	}
}

// A reset is passed on as a reset, behind everything that came before it.
func TestStreamsReset(t *testing.T) {
	for _, from := range []string{"tcp", "counted", "mem", "tls", "ws"} {
		for _, to := range []string{"tcp", "unix", "mem", "tls", "ws"} {
			t.Run(from+"-"+to, func(t *testing.T) {
				t.Parallel()
				a, b, done := start(t.Context(), t, from, to, &relay.Options{EndWait: 50 * time.Millisecond})
				const size = 100 << 10
				sent := make(chan error, 1)
				go func() {
					// What has not been read when the reset comes may be lost, so the peer tells when it has all.
					err := send(a, pattern(size, 1))
					_, readErr := a.Read(make([]byte, 1))
					sent <- errors.Join(err, readErr, tincan.Abort(a))
				}()
				if err := receive(b, pattern(size, 1)); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				_, err := b.Read(make([]byte, 1))
				if to == "unix" { // it has no reset
					err = tincan.ErrInUse
				}
				if to != "unix" && tincan.KindOf(err) != tincan.KindReset {
					t.Errorf("the other side reads %v, want a reset", err)
				}
				got := await(t, done)
				errorSide(t, got.err, true)
				if tincan.KindOf(got.err) != tincan.KindReset || got.result.Forward != size {
					t.Errorf("ended with %+v, want a reset after %d bytes", got, size)
				}
			})
		}
	}
}

// What a slow reader has not taken when its sender is reset is still delivered.
func TestStreamsResetBehindData(t *testing.T) {
	for _, to := range []string{"tcp", "unix", "mem"} {
		t.Run(to, func(t *testing.T) {
			a, first := connect(t, "unix")
			second, b := connect(t, to)
			const size = 60 << 10
			moved := make(chan struct{}, 1)
			passed := 0
			done := make(chan error, 1)
			go func() {
				_, err := relay.Streams(t.Context(), first, second, &relay.Options{Tap: func(d relay.Direction, p []byte) {
					if d == relay.Forward {
						if passed += len(p); passed == size {
							moved <- struct{}{}
						}
					}
				}})
				done <- err
			}()
			if err := send(a, pattern(size, 1)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Write([]byte("unread, so that the close of a Unix socket is a reset")); err != nil {
				t.Fatal(err)
			}
			if err := tincan.WaitReadable(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			<-moved
			_ = a.Close()
			if err := <-done; tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("ended with %v", err)
			}
			if err := receive(b, pattern(size, 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A socket tells of its reset once, and where both directions use it the one that sends may be told. The
// other must not take what it then reads for the end: the peer would take a part for the whole.
func TestStreamsResetIsNoEnd(t *testing.T) {
	for range 50 {
		a, b, done := start(t.Context(), t, "tcp", "tcp", nil)
		// The relay has more for a than fits, so that both its directions wait for a. From then on b only
		// reads, or it might itself be told where it doesn't look.
		_ = b.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		for err := error(nil); err == nil; {
			_, err = b.Write(make([]byte, 1<<20))
		}
		if err := errors.Join(send(a, []byte("part of")), receive(b, []byte("part of")), tincan.Abort(a)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
			t.Fatalf("the other side reads %v, want a reset", err)
		}
		if got := await(t, done); tincan.KindOf(got.err) != tincan.KindReset {
			t.Fatalf("ended with %+v", got)
		}
	}
}

// When a side takes no more, what it still has to say is delivered before the sender is reset.
func TestStreamsWriteSideDies(t *testing.T) {
	for _, pair := range [][2]string{{"tcp", "tcp"}, {"unix", "tcp"}, {"tcp", "unix"}, {"unix", "unix"}, {"tls", "tcp"}, {"mem", "mem"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			a, b, done := start(t.Context(), t, pair[0], pair[1], nil)
			answer := pattern(10<<10, 2)
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				for piece := make([]byte, 64<<10); ; {
					if _, err := a.Write(piece); err != nil {
						return
					}
				}
			}()
			// b reads a little, answers, and is gone.
			if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(send(b, answer), tincan.CloseWrite(b)); err != nil {
				t.Fatal(err)
			}
			go func() { _ = b.Close() }()
			if err := receive(a, answer); err != nil {
				t.Error(err)
			}
			got := await(t, done)
			errorSide(t, got.err, false)
			if tincan.KindOf(got.err) != tincan.KindReset {
				t.Errorf("ended with %+v, want a reset", got)
			}
			<-stop
		})
	}
}

// A Unix peer that has shut down its reading can still send, and the sender is told that nobody reads.
func TestStreamsRefusedInput(t *testing.T) {
	for _, kind := range []string{"unix", "mem"} {
		t.Run(kind, func(t *testing.T) {
			a, b, done := start(t.Context(), t, kind, kind, nil)
			if err := tincan.CloseRead(b); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				_, err = a.Write(make([]byte, 1000))
			}
			if tincan.KindOf(err) != tincan.KindReset {
				t.Fatalf("the sender was told %v", err)
			}
			answer := pattern(3<<20, 2)
			all(t,
				func() error { return errors.Join(send(b, answer), tincan.CloseWrite(b)) },
				func() error { return receive(a, answer) })
			errorSide(t, await(t, done).err, false)
		})
	}
}

func TestStreamsContext(t *testing.T) {
	eachPair(t, nil, func(t *testing.T, from, to string) {
		ctx, cancel := context.WithCancelCause(t.Context())
		a, _, done := start(ctx, t, from, to, &relay.Options{EndWait: time.Hour})
		go func() { // a sender that nobody reads from doesn't hold it up
			for piece := make([]byte, 64<<10); ; {
				if _, err := a.Write(piece); err != nil {
					return
				}
			}
		}()
		cause := errors.New("enough")
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		if got := await(t, done); !errors.Is(got.err, cause) { // and doesn't wait for EndWait
			t.Errorf("ended with %v, want the cause", got.err)
		}
	})
}

// A connection that is closed by someone else is no end in order.
func TestStreamsClosedElsewhere(t *testing.T) {
	a, first := connect(t, "tcp")
	second, b := connect(t, "tcp")
	done := make(chan outcome, 1)
	go func() {
		r, err := relay.Streams(t.Context(), first, second, nil)
		done <- outcome{r, err}
	}()
	if err := errors.Join(send(a, []byte("x")), receive(b, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	if got := await(t, done); !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("ended with %v", got.err)
	}
	if _, err := b.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("the other side reads %v, want a reset", err)
	}
}

// inBubble gives both ends of two in-process connections that are relayed.
func inBubble(t *testing.T, o *relay.Options) (a, b net.Conn, done <-chan outcome) {
	t.Helper()
	return start(context.Background(), t, "mem", "mem", o)
}

func TestStreamsTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    relay.Options
		want time.Duration
	}{
		{"idle", relay.Options{IdleTimeout: 7 * time.Second}, 2*3*time.Second + 7*time.Second},
		{"total", relay.Options{Timeout: 5 * time.Second}, 5 * time.Second},
		{"idle comes first", relay.Options{IdleTimeout: 2 * time.Second, Timeout: 5 * time.Second}, 2 * time.Second},
		{"total comes first", relay.Options{IdleTimeout: 7 * time.Second, Timeout: 8 * time.Second}, 8 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				a, b, done := inBubble(t, &tt.o)
				_, _ = a.SetDeadline(time.Time{}), b.SetDeadline(time.Time{})
				go func() { _, _ = io.Copy(io.Discard, b) }()
				for range 2 { // after 3 s and 6 s, something passes
					time.Sleep(3 * time.Second)
					_, _ = a.Write([]byte("x"))
				}
				got := <-done
				if !errors.Is(got.err, os.ErrDeadlineExceeded) || tincan.KindOf(got.err) != tincan.KindTimeout {
					t.Errorf("ended with %v", got.err)
				}
				took := time.Since(begin)
				if tt.want < 6*time.Second { // it was over before the second byte
					took = min(took, tt.want)
				}
				if took != tt.want {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				if _, err := a.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
					t.Errorf("the peer reads %v, want a reset", err)
				}
			})
		})
	}
}

// So many bytes take as long as the rate says, and a pair that a limiter holds back isn't idle.
func TestStreamsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, all := rate.NewLimiter(10<<10, 20<<10), rate.NewLimiter(1<<30, 1<<30)
		begin := time.Now()
		a, b, done := inBubble(t, &relay.Options{Limiters: []*rate.Limiter{all, slow}, IdleTimeout: time.Second})
		_, _ = a.SetDeadline(time.Time{}), b.SetDeadline(time.Time{})
		const size = 20<<10 + 300<<10 // the first 20 KiB are free
		go func() { _ = errors.Join(send(a, pattern(size, 1)), end(a)) }()
		if err := errors.Join(receive(b, pattern(size, 1)), expectEnd(b), end(b)); err != nil {
			t.Error(err)
		}
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
		if took := time.Since(begin); took < 29999*time.Millisecond || took > 30001*time.Millisecond {
			t.Errorf("300 KiB at 10 KiB/s took %v", took)
		}
	})
}

// A pair that is held back ends as promptly as another.
func TestStreamsRateInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a, b, done := inBubble(t, &relay.Options{Limiters: []*rate.Limiter{rate.NewLimiter(1, 10)}, Timeout: time.Minute})
		_, _ = a.SetDeadline(time.Time{}), b.SetDeadline(time.Time{})
		go func() { _, _ = io.Copy(io.Discard, b) }()
		if err := send(a, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if got := <-done; tincan.KindOf(got.err) != tincan.KindTimeout || got.result.Forward < 60 || got.result.Forward > 80 {
			t.Errorf("ended with %+v", got)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
