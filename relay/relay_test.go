package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are the endpoints that tests listen on: each stands for a way that bytes are moved and ends passed on.
var kinds = map[string]struct {
	endpoint    func(t *testing.T) string
	noHalfClose bool
}{
	"tcp":  {endpoint: func(*testing.T) string { return "tcp://127.0.0.1:0" }},
	"unix": {endpoint: func(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "s") }},
	"mem":  {endpoint: func(t *testing.T) string { return "mem:" + t.Name() }},
	"ws":   {endpoint: func(*testing.T) string { return "ws://127.0.0.1:0/relay" }, noHalfClose: true},
}

// connect gives the two ends of a connection of some kind.
func connect(t *testing.T, kind string) (client, server net.Conn) {
	t.Helper()
	var config tincan.Config
	ws.AddTo(&config)
	l, err := (&tincan.ListenConfig{Config: config}).Listen(t.Context(), kinds[kind].endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = tincan.Handshake(t.Context(), c)
		}
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err = (&tincan.Dialer{Config: config}).Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

type outcome struct {
	result relay.Result
	err    error
}

// start relays between new connections and gives their far ends.
func start(t *testing.T, ctx context.Context, from, to string, o *relay.Options) (a, b net.Conn, done <-chan outcome) {
	t.Helper()
	a, first := connect(t, from)
	second, b := connect(t, to)
	ch := make(chan outcome, 1)
	go func() {
		r, err := relay.Streams(ctx, first, second, o)
		ch <- outcome{r, err}
	}()
	return a, b, ch
}

// eachPair tests every pair of kinds that want picks.
func eachPair(t *testing.T, want func(from, to string) bool, f func(t *testing.T, from, to string)) {
	for from := range kinds {
		for to := range kinds {
			if !want(from, to) {
				continue
			}
			t.Run(from+"-"+to, func(t *testing.T) { f(t, from, to) })
		}
	}
}

// send writes size random bytes in pieces of random lengths, then half-closes.
func send(t *testing.T, c net.Conn, size int) hash.Hash {
	t.Helper()
	h := sha256.New()
	r := rand.New(rand.NewPCG(1, uint64(size)))
	piece := make([]byte, 256<<10)
	for i := range piece {
		piece[i] = byte(r.Uint32())
	}
	for rest := size; rest > 0; {
		n := min(rest, 1+r.IntN(len(piece)))
		h.Write(piece[:n])
		if _, err := c.Write(piece[:n]); err != nil {
			t.Errorf("sending: %v", err)
			return h
		}
		rest -= n
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Errorf("half-close: %v", err)
	}
	return h
}

func TestStreamsBothWays(t *testing.T) {
	halfClosing := func(from, to string) bool { return !kinds[from].noHalfClose && !kinds[to].noHalfClose }
	eachPair(t, halfClosing, func(t *testing.T, from, to string) {
		const there, back = 64<<20 + 13, 48<<20 + 7
		a, b, done := start(t, t.Context(), from, to, nil)
		sent := make(chan hash.Hash, 2)
		go func() { sent <- send(t, a, there) }()
		received := sha256.New()
		if n, err := io.Copy(received, b); n != there || err != nil {
			t.Errorf("forward: %d bytes, %v", n, err)
		}
		if !bytes.Equal((<-sent).Sum(nil), received.Sum(nil)) {
			t.Error("forward: the bytes differ")
		}
		// The other direction goes on after the first has ended.
		go func() { sent <- send(t, b, back) }()
		received = sha256.New()
		if n, err := io.Copy(received, a); n != back || err != nil {
			t.Errorf("backward: %d bytes, %v", n, err)
		}
		if !bytes.Equal((<-sent).Sum(nil), received.Sum(nil)) {
			t.Error("backward: the bytes differ")
		}
		if got := <-done; got.err != nil || got.result != (relay.Result{Forward: there, Backward: back}) {
			t.Errorf("ended with %+v", got)
		}
	})
}

// Where a side has no half-close, what still comes within EndWait after the
// end of its input arrives.
func TestStreamsNoHalfClose(t *testing.T) {
	toOneWithout := func(from, to string) bool { return !kinds[from].noHalfClose && kinds[to].noHalfClose }
	eachPair(t, toOneWithout, func(t *testing.T, from, to string) {
		a, b, done := start(t, t.Context(), from, to, &relay.Options{EndWait: 200 * time.Millisecond})
		go func() {
			buf := make([]byte, 16)
			n, err := io.ReadAtLeast(b, buf, 5)
			if err == nil {
				_, err = fmt.Fprintf(b, "got %s", buf[:n])
			}
			if err != nil {
				t.Error(err)
			}
		}()
		if _, err := a.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := tincan.CloseWrite(a); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(a); string(got) != "got hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if got := <-done; got.err != nil {
			t.Errorf("ended with %+v", got)
		}
	})
}

func TestStreamsSmall(t *testing.T) {
	eachPair(t, func(_, _ string) bool { return true }, func(t *testing.T, from, to string) {
		a, b, done := start(t, t.Context(), from, to, nil)
		go func() { _, _ = io.Copy(b, b); _ = b.Close() }()
		buf := make([]byte, 5)
		for range 1000 {
			if _, err := a.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, buf); err != nil || string(buf) != "hello" {
				t.Fatalf("got %q, %v", buf, err)
			}
		}
		_ = a.Close()
		if got := <-done; got.err != nil || got.result.Forward != 5000 || got.result.Backward != 5000 {
			t.Errorf("ended with %+v", got)
		}
	})
}

func TestStreamsReset(t *testing.T) {
	for _, to := range []string{"tcp", "unix"} {
		t.Run(to, func(t *testing.T) {
			a, b, done := start(t, t.Context(), "tcp", to, nil)
			if _, err := a.Write([]byte("before")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 6)
			if _, err := io.ReadFull(b, buf); err != nil {
				t.Fatal(err)
			}
			if err := tincan.Abort(a); err != nil {
				t.Fatal(err)
			}
			_, err := b.Read(buf)
			if to == "tcp" && tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("the other side reads %v, want a reset", err)
			}
			got := <-done
			var end *relay.EndError
			if !errors.As(got.err, &end) || !end.First() || tincan.KindOf(got.err) != tincan.KindReset {
				t.Errorf("ended with %v, want a reset of the first side", got.err)
			}
		})
	}
}

func TestStreamsIdle(t *testing.T) {
	a, b, done := start(t, t.Context(), "tcp", "unix", &relay.Options{IdleTimeout: 50 * time.Millisecond})
	go func() { _, _ = io.Copy(io.Discard, b) }()
	begin := time.Now()
	if _, err := a.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if got := <-done; tincan.KindOf(got.err) != tincan.KindTimeout {
		t.Errorf("ended with %v, want a timeout", got.err)
	}
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
}

func TestStreamsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, _, done := start(t, ctx, "tcp", "tcp", nil)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) {
		t.Errorf("ended with %v, want context.Canceled", got.err)
	}
}

func TestStreamsTap(t *testing.T) {
	var forward bytes.Buffer
	a, b, done := start(t, t.Context(), "tcp", "tcp", &relay.Options{Tap: func(d relay.Direction, p []byte) {
		if d == relay.Forward {
			forward.Write(p)
		}
	}})
	go send(t, a, 10<<20)
	if n, err := io.Copy(io.Discard, b); n != 10<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = b.Close()
	<-done
	if forward.Len() != 10<<20 {
		t.Errorf("the tap saw %d bytes", forward.Len())
	}
}
