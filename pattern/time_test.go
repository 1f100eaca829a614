package pattern_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

func TestHeartbeatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		pull := pattern.NewPull(&pattern.Options{Heartbeat: 2 * time.Second, HeartbeatTimeout: time.Second, OnEvent: l.add})
		push := pattern.NewPush(nil)
		join(t, "mem", pull, push)
		addr, err := pull.Listen(t.Context(), "mem:other"+t.Name())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Push})
		// It is silent from the beginning: a PING comes after 2 s, the end 1 s later.
		got := ends(t, c)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
		if want := "\x04\x07\x04PING\x00\x00"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		synctest.Wait()
		if gone := l.find(pattern.EventDisconnected); len(gone) != 1 || !errors.Is(gone[0].Err, pattern.ErrHeartbeat) {
			t.Errorf("got %+v", gone)
		}
		time.Sleep(time.Minute) // the peer that answers PINGs stays
		if n := pull.Stats().Peers; n != 1 {
			t.Errorf("got %d peers", n)
		}
	})
}

// TestTrafficIsLife has a peer that never answers a PING, but sends messages.
func TestTrafficIsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pull := pattern.NewPull(&pattern.Options{Heartbeat: time.Second, HeartbeatTTL: 2 * time.Second})
		defer pull.Close()
		addr, err := pull.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Push})
		for range 100 {
			if _, err := c.Write([]byte{0, 0}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(900 * time.Millisecond)
		}
		if n := pull.Stats().Peers; n != 1 {
			t.Errorf("got %d peers", n)
		}
		b := make([]byte, 9)
		if _, err := c.Read(b); err != nil || string(b) != "\x04\x07\x04PING\x00\x14" {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// TestPing has the peer ask for a time to live, and then fall silent.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		pull := pattern.NewPull(&pattern.Options{OnEvent: l.add})
		defer pull.Close()
		addr, err := pull.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Push})
		start := time.Now()
		ping := zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendPing(nil, 1500*time.Millisecond, []byte("ctx")))
		// Between the parts of a message, as libzmq sends it.
		if _, err := c.Write(append(append([]byte("\x01\x01a"), ping...), "\x00\x01b"...)); err != nil {
			t.Fatal(err)
		}
		parts, err := pull.Recv(t.Context())
		if err != nil || len(parts) != 2 || string(parts[0])+string(parts[1]) != "ab" {
			t.Errorf("got %q, %v", parts, err)
		}
		if got := ends(t, c); string(got) != "\x04\x08\x04PONGctx" {
			t.Errorf("got %q", got)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if gone := l.find(pattern.EventDisconnected); len(gone) != 1 || !errors.Is(gone[0].Err, pattern.ErrHeartbeat) {
			t.Errorf("got %+v", gone)
		}
	})
}

// TestStalledIsAlive has an application that doesn't receive: its peer is not to blame for it.
func TestStalledIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pull := pattern.NewPull(&pattern.Options{Heartbeat: time.Second, RecvHighWater: 2})
		push := pattern.NewPush(nil)
		join(t, "mem", pull, push)
		for range 5 {
			if err := push.Send(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if n := pull.Stats().Peers; n != 1 {
			t.Errorf("got %d peers", n)
		}
		for range 5 {
			if _, err := pull.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		push := pattern.NewPush(&pattern.Options{Backoff: tincan.Backoff{Min: time.Second, Max: 8 * time.Second}, OnEvent: l.add})
		defer push.Close()
		name := endpoint(t, "mem")
		if err := push.Dial(name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		retries := l.find(pattern.EventRetrying)
		for i, e := range retries {
			most := min(time.Second<<i, 8*time.Second)
			if e.Attempt != i+1 || e.Wait > most || e.Wait < most/2 || tincan.KindOf(e.Err) != tincan.KindConnect {
				t.Errorf("retry %d: got %+v, want a wait up to %v", i, e, most)
			}
		}
		if n := len(retries); n < 8 || n > 20 {
			t.Errorf("got %d retries in a minute", n)
		}
		pull := pattern.NewPull(nil)
		if _, err := pull.Listen(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := push.WaitPeers(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // it has stood
		before := len(l.find(pattern.EventRetrying))
		if err := pull.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		retries = l.find(pattern.EventRetrying)[before:]
		if len(retries) != 1 || retries[0].Attempt != 1 || retries[0].Wait > time.Second {
			t.Errorf("got %+v, want to begin anew", retries)
		}
	})
}

func TestSendWaits(t *testing.T) {
	senders := map[string]func(*pattern.Options) interface {
		socket
		Send(context.Context, ...[]byte) error
	}{
		"push": func(o *pattern.Options) interface {
			socket
			Send(context.Context, ...[]byte) error
		} {
			return pattern.NewPush(o)
		},
		"dealer": func(o *pattern.Options) interface {
			socket
			Send(context.Context, ...[]byte) error
		} {
			return pattern.NewDealer(o)
		},
		"pair": func(o *pattern.Options) interface {
			socket
			Send(context.Context, ...[]byte) error
		} {
			return pattern.NewPair(o)
		},
	}
	types := map[string]zmtp.SocketType{"push": zmtp.Pull, "dealer": zmtp.Dealer, "pair": zmtp.Pair}
	for name, newSender := range senders {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSender(&pattern.Options{SendHighWater: 10})
				defer s.Close()
				brief := func() context.Context {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					t.Cleanup(cancel)
					return ctx
				}
				if err := s.Send(brief(), nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("without a peer: got %v", err)
				}
				addr, err := s.Listen(t.Context(), endpoint(t, "mem"))
				if err != nil {
					t.Fatal(err)
				}
				c := rawPeer(t, addr, &zmtp.Config{Type: types[name]})
				if err := s.WaitPeers(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				sent := 0
				body := make([]byte, 1<<10)
				for err == nil {
					if err = s.Send(brief(), body); err == nil {
						sent++
					}
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("with a full queue: got %v", err)
				}
				if sent < 10 || sent > 1000 {
					t.Errorf("%d messages were sent to a peer that doesn't read", sent)
				}
				// All that was accepted comes, and no more.
				done := make(chan error, 1)
				go func() { done <- s.Send(t.Context(), []byte("last")) }()
				_ = c.SetReadDeadline(time.Now().Add(time.Hour))
				got, buf := 0, make([]byte, 1<<20)
				want := sent*(9+len(body)) + 2 + len("last")
				for got < want {
					n, err := c.Read(buf)
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				if n, err := c.Read(buf); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%d bytes more: %v", n, err)
				}
			})
		})
	}
}
