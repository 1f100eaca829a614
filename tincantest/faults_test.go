package tincantest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
)

// pair gives both ends of a connection to endpoint; the client's has the faults.
func pair(t *testing.T, endpoint string, f tincantest.Faults) (faulty, peer net.Conn) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := tincan.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	faulty = tincantest.WrapFaulty(c, f)
	t.Cleanup(func() { _ = faulty.Close(); _ = peer.Close() })
	return faulty, peer
}

// A connection with faults that no byte may notice is as good as one without.
func TestFaultyConforms(t *testing.T) {
	for name, f := range map[string]tincantest.Faults{
		"no faults": {},
		"ragged": {
			Seed: 1, Read: tincantest.Flow{Piece: 3000, Ragged: true}, Write: tincantest.Flow{Piece: 5000, Ragged: true},
		},
	} {
		for scheme, endpoint := range map[string]string{"mem": "mem:faulty", "tcp4": "tcp4://:0"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				transport := &tincantest.FaultyTransport{Dialled: tincantest.Always(f), Accepted: tincantest.Always(f)}
				config := tincan.Config{Transports: map[string]tincan.Transport{scheme: transport}}
				fixture := tincantest.StreamFixture{
					Endpoint: func(*testing.T) string { return endpoint },
					Dialer:   &tincan.Dialer{Config: config}, ListenConfig: &tincan.ListenConfig{Config: config},
				}
				tincantest.TestStream(t, fixture)
				t.Run("nettest", func(t *testing.T) {
					nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
						l, err := fixture.ListenConfig.Listen(context.Background(), endpoint)
						if err != nil {
							return nil, nil, nil, err
						}
						defer l.Close()
						if c1, err = fixture.Dialer.Dial(context.Background(), l.Addr().String()); err != nil {
							return nil, nil, nil, err
						}
						c2, err = l.Accept()
						return c1, c2, func() { _ = c1.Close(); _ = c2.Close() }, err
					})
				})
			})
		}
	}
}

// timed gives how long f takes.
func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestDelays(t *testing.T) {
	for name, tt := range map[string]struct {
		f    tincantest.Faults
		want time.Duration // for ten bytes to arrive
	}{
		"none":             {},
		"each write":       {tincantest.Faults{Write: tincantest.Flow{Delay: time.Minute}}, time.Minute},
		"each byte":        {tincantest.Faults{Write: tincantest.Flow{Delay: time.Minute, Piece: 1}}, 10 * time.Minute},
		"a byte a second":  {tincantest.Faults{Write: tincantest.Flow{Rate: 1}}, 9 * time.Second},
		"five bytes in it": {tincantest.Faults{Write: tincantest.Flow{Rate: 5}}, 1800 * time.Millisecond},
		"many in it":       {tincantest.Faults{Write: tincantest.Flow{Rate: 1 << 30}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty, peer := pair(t, "mem:faults", tt.f)
				got := make([]byte, 10)
				took := timed(func() {
					go func() { _, _ = faulty.Write([]byte("0123456789")) }()
					if _, err := io.ReadFull(peer, got); err != nil || string(got) != "0123456789" {
						t.Errorf("%q, %v", got, err)
					}
				})
				if took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

func TestReadIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty, peer := pair(t, "mem:faults", tincantest.Faults{Read: tincantest.Flow{Piece: 2, Delay: time.Second}})
		if _, err := peer.Write([]byte("01234")); err != nil {
			t.Fatal(err)
		}
		var pieces []string
		took := timed(func() {
			for buf := make([]byte, 10); len(pieces) < 3; {
				n, err := faulty.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				pieces = append(pieces, string(buf[:n]))
			}
		})
		if took != 3*time.Second || pieces[0] != "01" || pieces[2] != "4" {
			t.Errorf("%q after %v", pieces, took)
		}
	})
}

// A bandwidth is kept over a long transfer whatever the lengths of its writes.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty, peer := pair(t, "mem:faults", tincantest.Faults{Seed: 5, Write: tincantest.Flow{Rate: 1 << 20, Ragged: true}})
		took := timed(func() {
			go func() {
				for range 10 {
					_, _ = faulty.Write(make([]byte, 1<<20))
				}
			}()
			if _, err := io.CopyN(io.Discard, peer, 10<<20); err != nil {
				t.Error(err)
			}
		})
		if took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("10 MiB at 1 MiB/s took %v", took)
		}
	})
}

// The same seed makes the same pieces at the same times, another others.
func TestSeed(t *testing.T) {
	type piece struct {
		n  int
		at time.Duration
	}
	run := func(seed uint64) (pieces []piece) {
		synctest.Test(t, func(t *testing.T) {
			faulty, peer := pair(t, "mem:faults", tincantest.Faults{Seed: seed, Read: tincantest.Flow{Ragged: true, Jitter: time.Second}})
			start := time.Now()
			go func() { _, _ = peer.Write(make([]byte, 10_000)); _ = peer.Close() }()
			for buf := make([]byte, 1000); ; {
				n, err := faulty.Read(buf)
				if errors.Is(err, io.EOF) {
					return
				}
				pieces = append(pieces, piece{n, time.Since(start)})
			}
		})
		return pieces
	}
	equal := func(a, b []piece) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	a := run(1)
	if b := run(1); !equal(a, b) {
		t.Errorf("two runs with one seed differ: %v and %v", a, b)
	}
	if b := run(2); equal(a, b) {
		t.Errorf("two seeds make the same: %v", a)
	}
}

func TestFlip(t *testing.T) {
	want := []byte("abcdefghij")
	want[7] ^= 0x81
	for name, f := range map[string]tincantest.Faults{
		"write": {Write: tincantest.Flow{Flip: 0x81, FlipAt: 7, Piece: 3}},
		"read":  {Read: tincantest.Flow{Flip: 0x81, FlipAt: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := pair(t, "mem:faults", f)
			if name == "read" {
				from, to = to, from
			}
			sent := []byte("abcdefghij")
			if _, err := from.Write(sent); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 10)
			if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
			if string(sent) != "abcdefghij" {
				t.Errorf("the writer's own buffer became %q", sent)
			}
		})
	}
}

// endpoints are a family in process and one of the system, both with resets.
var endpoints = []string{"mem:faults", "tcp4://:0"}

// Each end happens at its byte exactly, is seen by the peer as what it is, and is told to its own side.
func TestWriteEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		end     tincantest.End
		at      int64
		own     error            // of the write that goes over
		peer    func(error) bool // of the peer's read behind the last byte
		stillOK bool             // the other direction goes on
	}{
		{"half-close", tincantest.HalfClose, 4, syscall.EPIPE, isEOF, true},
		{"half-close at once", tincantest.HalfClose, 0, syscall.EPIPE, isEOF, true},
		{"cut", tincantest.Cut, 4, syscall.ECONNABORTED, isEOF, false},
		{"cut at once", tincantest.Cut, 0, syscall.ECONNABORTED, isEOF, false},
		{"reset", tincantest.Reset, 4, syscall.ECONNRESET, isReset, false},
		{"reset at once", tincantest.Reset, 0, syscall.ECONNRESET, isReset, false},
	} {
		for _, endpoint := range endpoints {
			t.Run(tt.name+" "+endpoint[:3], func(t *testing.T) {
				faulty, peer := pair(t, endpoint, tincantest.Faults{Write: tincantest.Flow{End: tt.end, At: tt.at}})
				n, err := faulty.Write([]byte("0123456789"))
				var opErr *net.OpError
				if n != int(tt.at) || !errors.Is(err, tt.own) || !errors.As(err, &opErr) {
					t.Errorf("Write: %d, %v; want %d and an OpError of %v", n, err, tt.at, tt.own)
				}
				if n, err := faulty.Write([]byte("x")); n != 0 || !errors.Is(err, tt.own) {
					t.Errorf("a second Write: %d, %v", n, err)
				}
				got, err := io.ReadAll(peer)
				// In process a reset takes away what was not read yet.
				if len(got) != int(tt.at) && (tt.end != tincantest.Reset || len(got) != 0) {
					t.Errorf("the peer got %q", got)
				}
				if err == nil {
					err = io.EOF
				}
				if !tt.peer(err) {
					t.Errorf("the peer's read: %v", err)
				}
				if !tt.stillOK {
					if _, err := faulty.Read(make([]byte, 1)); !errors.Is(err, tt.own) {
						t.Errorf("the own Read: %v, want %v", err, tt.own)
					}
					return
				}
				if _, err := peer.Write([]byte("y")); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(faulty, make([]byte, 1)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func isEOF(err error) bool   { return err == io.EOF }
func isReset(err error) bool { return tincan.KindOf(err) == tincan.KindReset }

func TestReadEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  tincantest.End
		own  error
	}{
		{"half-close", tincantest.HalfClose, io.EOF},
		{"cut", tincantest.Cut, syscall.ECONNABORTED},
		{"reset", tincantest.Reset, syscall.ECONNRESET},
	} {
		for _, endpoint := range endpoints {
			t.Run(tt.name+" "+endpoint[:3], func(t *testing.T) {
				faulty, peer := pair(t, endpoint, tincantest.Faults{Read: tincantest.Flow{End: tt.end, At: 4}})
				if _, err := peer.Write([]byte("0123456789")); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 10)
				n, err := io.ReadFull(faulty, got)
				if errors.Is(err, io.ErrUnexpectedEOF) {
					err = io.EOF // as ReadFull tells it
				}
				if n != 4 || !errors.Is(err, tt.own) {
					t.Errorf("%d bytes, %v; want 4, %v", n, err, tt.own)
				}
				if err := tincan.WaitReadable(t.Context(), faulty); err != nil {
					t.Errorf("WaitReadable: %v", err)
				}
				_, err = faulty.Write([]byte("x"))
				if tt.end == tincantest.HalfClose && err != nil || tt.end != tincantest.HalfClose && !errors.Is(err, tt.own) {
					t.Errorf("Write: %v", err)
				}
				if err := faulty.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if _, err := faulty.Read(got); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read after Close: %v", err)
				}
			})
		}
	}
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stall := tincantest.Flow{End: tincantest.Stall, At: 3}
		faulty, peer := pair(t, "mem:faults", tincantest.Faults{Read: stall, Write: stall, Release: release})
		_ = faulty.SetDeadline(time.Now().Add(time.Minute))
		if _, err := peer.Write([]byte("01234")); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		took := timed(func() {
			wg.Go(func() {
				if n, err := io.ReadFull(faulty, make([]byte, 5)); n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("read %d, %v; want 3 and the deadline", n, err)
				}
			})
			wg.Go(func() {
				if n, err := faulty.Write(make([]byte, 5)); n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("wrote %d, %v; want 3 and the deadline", n, err)
				}
			})
			wg.Wait()
		})
		if took != time.Minute {
			t.Errorf("the deadline ended the stall after %v", took)
		}
		_ = faulty.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			close(release)
		}()
		took = timed(func() {
			if n, err := io.ReadFull(faulty, make([]byte, 2)); err != nil {
				t.Errorf("read %d, %v", n, err)
			}
			if n, err := faulty.Write(make([]byte, 2)); err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		if took != time.Hour {
			t.Errorf("released after %v", took)
		}
	})
}

// Close, and the end of the other direction, wake whatever the faults hold up.
func TestFaultsEndWithTheConnection(t *testing.T) {
	for name, f := range map[string]tincantest.Faults{
		"stall": {Read: tincantest.Flow{End: tincantest.Stall}},
		"delay": {Read: tincantest.Flow{Delay: 1000 * time.Hour}},
		"rate":  {Read: tincantest.Flow{Rate: 1, Delay: 1000 * time.Hour}},
	} {
		for _, by := range []string{"close", "reset"} {
			t.Run(name+" "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f.Write = tincantest.Flow{End: tincantest.Reset, At: 1}
					faulty, _ := pair(t, "mem:faults", f)
					const readers = 3 // two wait for the turn
					result := make(chan error, readers)
					for range readers {
						go func() { _, err := faulty.Read(make([]byte, 1)); result <- err }()
					}
					synctest.Wait()
					want := net.ErrClosed
					if by == "close" {
						_ = faulty.Close()
					} else {
						want = syscall.ECONNRESET
						_, _ = faulty.Write([]byte("x"))
					}
					for range readers {
						if err := <-result; !errors.Is(err, want) {
							t.Errorf("Read: %v, want %v", err, want)
						}
					}
				})
			})
		}
	}
}

// The bytes of Writes at once don't mix, however small the pieces.
func TestFaultyWritesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty, peer := pair(t, "mem:faults", tincantest.Faults{Write: tincantest.Flow{Piece: 1, Jitter: time.Second}})
		var wg sync.WaitGroup
		for _, letter := range []string{"a", "b", "c", "d"} {
			wg.Go(func() { _, _ = faulty.Write(bytes.Repeat([]byte(letter), 10)) })
		}
		wg.Wait()
		_ = faulty.Close()
		got, err := io.ReadAll(peer)
		for i := 0; i+10 <= len(got); i += 10 {
			if !bytes.Equal(got[i:i+10], bytes.Repeat(got[i:i+1], 10)) {
				t.Errorf("mixed: %q", got)
			}
		}
		if len(got) != 40 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// A transport numbers its connections, so that the first can fail and the next be well.
func TestFaultyTransportNumbers(t *testing.T) {
	transport := &tincantest.FaultyTransport{Dialled: func(n int) tincantest.Faults {
		if n == 0 {
			return tincantest.Faults{Write: tincantest.Flow{End: tincantest.Reset}}
		}
		return tincantest.Faults{}
	}}
	var listening, accepted int
	lc := &tincan.ListenConfig{Config: tincan.Config{
		Transports: map[string]tincan.Transport{"tcp4": transport},
		Trace: &tincan.Trace{
			Listening: func(net.Addr) { listening++ },
			Accepted:  func(net.Addr, tincan.Conn) { accepted++ },
		},
	}}
	l, err := lc.Listen(t.Context(), "tcp4://:0?max-conns=2&allow=127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &tincan.Dialer{Config: tincan.Config{Transports: map[string]tincan.Transport{"tcp4": transport}}}
	for _, want := range []error{syscall.ECONNRESET, nil} {
		c, err := d.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, want) {
			t.Errorf("Write: %v, want %v", err, want)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	if listening != 1 || accepted != 2 {
		t.Errorf("traced %d times listening, %d accepted", listening, accepted)
	}
}
