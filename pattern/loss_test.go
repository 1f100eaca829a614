package pattern_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
	"pgregory.net/rapid"
)

// TestUnsentGoesToAnother has a peer die with messages of which it can't have got the last byte.
func TestUnsentGoesToAnother(t *testing.T) {
	for _, others := range []int{0, 1} {
		t.Run(fmt.Sprint("others ", others), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				push := pattern.NewPush(&pattern.Options{SendHighWater: 100})
				defer push.Close()
				addr, err := push.Listen(t.Context(), endpoint(t, "mem"))
				if err != nil {
					t.Fatal(err)
				}
				dies := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Pull})
				if err := push.WaitPeers(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				const size = 100 << 10 // more than a mem pipe holds with another
				sent := 0
				for {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					err := push.Send(ctx, binary.BigEndian.AppendUint32(nil, uint32(sent)), make([]byte, size))
					cancel()
					if err != nil {
						break
					}
					sent++
				}
				pull := pattern.NewPull(nil)
				defer pull.Close()
				if others == 1 {
					if err := pull.Dial(addr.String()); err != nil {
						t.Fatal(err)
					}
					if err := push.WaitPeers(t.Context(), 2); err != nil {
						t.Fatal(err)
					}
				}
				// It reads one message whole and a part of the next.
				b := make([]byte, 6+9+size+50)
				for n := 0; n < len(b); {
					m, err := dies.Read(b[n:])
					if err != nil {
						t.Fatal(err)
					}
					n += m
				}
				synctest.Wait()
				if err := tincan.Abort(dies); err != nil {
					t.Fatal(err)
				}
				if others == 0 {
					if err := pull.Dial(addr.String()); err != nil {
						t.Fatal(err)
					}
				}
				var got []uint32
				for {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					parts, err := pull.Recv(ctx)
					cancel()
					if err != nil {
						break
					}
					if len(parts) != 2 || len(parts[1]) != size {
						t.Fatalf("got %d parts", len(parts))
					}
					got = append(got, binary.BigEndian.Uint32(parts[0]))
				}
				// What lay in the pipe is lost: 1 that was read, and what the pipe held whole.
				if len(got) < sent-3 || !slices.IsSorted(got) || got[len(got)-1] != uint32(sent-1) {
					t.Errorf("%d were sent, got %d: %d", sent, len(got), got)
				}
			})
		})
	}
}

// TestResetWithinMessage resets connections in the middle of messages; what arrives is whole.
func TestResetWithinMessage(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 500
	}
	pull := pattern.NewPull(nil)
	addr, err := pull.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	one := append(zmtp.AppendFrame(nil, zmtp.FlagMore, []byte("head")), zmtp.AppendFrame(nil, 0, make([]byte, 300))...)
	whole := 0
	received := make(chan int)
	go func() {
		n := 0
		for {
			parts, err := pull.Recv(context.Background())
			if err != nil {
				received <- n
				return
			}
			if len(parts) != 2 || string(parts[0]) != "head" || len(parts[1]) != 300 {
				t.Errorf("got %q", parts)
			}
			n++
		}
	}()
	for i := range rounds {
		c, err := net.Dial("tcp", addr.(*tincan.Endpoint).Host+":"+addr.(*tincan.Endpoint).Port)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := zmtp.Handshake(c, &zmtp.Config{Type: zmtp.Push}); err != nil {
			t.Fatal(err)
		}
		n := rand.IntN(3 * len(one))
		whole += n / len(one)
		if _, err := c.Write(slices.Concat(one, one, one)[:n]); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			err = tincan.Abort(c)
		} else {
			err = c.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for pull.Stats().Connects < rounds || pull.Stats().Peers > 0 {
		runtime.Gosched()
	}
	_ = pull.Close()
	if n := <-received; n > whole {
		t.Errorf("%d messages were sent whole, %d came", whole, n)
	}
}

// TestCuts sends random messages in random pieces, with PINGs in between.
func TestCuts(t *testing.T) {
	pull := pattern.NewPull(nil)
	defer pull.Close()
	endpoints := []string{"mem:" + t.Name(), endpoint(t, "unix")}
	for _, e := range endpoints {
		if _, err := pull.Listen(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	ping := zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendPing(nil, 0, nil))
	length := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 5000), rapid.IntRange(60_000, 70_000), rapid.IntRange(250_000, 600_000))
	rapid.Check(t, func(t *rapid.T) {
		c, err := tincan.Dial(context.Background(), rapid.SampledFrom(endpoints).Draw(t, "endpoint"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := zmtp.Handshake(c, &zmtp.Config{Type: zmtp.Push}); err != nil {
			t.Fatal(err)
		}
		var wire []byte
		var want [][]int
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			lengths := rapid.SliceOfN(length, 1, 4).Draw(t, "lengths")
			want = append(want, lengths)
			for i, n := range lengths {
				if rapid.IntRange(0, 3).Draw(t, "ping") == 0 {
					wire = append(wire, ping...)
				}
				f := zmtp.FlagMore
				if i == len(lengths)-1 {
					f = 0
				}
				body := make([]byte, n)
				for j := range body {
					body[j] = byte(n + j)
				}
				wire = zmtp.AppendFrame(wire, f, body)
			}
		}
		piece := rapid.SampledFrom([]int{1, 7, 1000, 65536, 1 << 20}).Draw(t, "piece")
		if piece < 1000 && len(wire) > 20_000 {
			piece = 1000
		}
		go func() {
			for rest := wire; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(piece))
				if _, err := c.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		for _, lengths := range want {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			m, err := pull.Borrow(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Parts) != len(lengths) {
				t.Fatalf("got %d parts, want %v", len(m.Parts), lengths)
			}
			for i, n := range lengths {
				if len(m.Parts[i]) != n {
					t.Fatalf("part %d: got %d bytes, want %v", i, len(m.Parts[i]), lengths)
				}
				for j, b := range m.Parts[i] {
					if b != byte(n+j) {
						t.Fatalf("part %d of %v: byte %d is %d", i, lengths, j, b)
					}
				}
			}
			m.Release()
		}
	})
}

// TestStoppedReader has one peer flood a socket that doesn't receive, and another that doesn't read.
func TestStoppedReader(t *testing.T) {
	push, pull := pattern.NewPush(nil), pattern.NewPull(nil)
	join(t, "unix", pull, push)
	body := make([]byte, 256)
	sent, most := 0, within(t)
	for { // until one has waited for half a second, and there is as much as there will be at the least
		ctx, cancel := context.WithTimeout(most, time.Second/2)
		err := push.Send(ctx, body)
		cancel()
		if err == nil {
			sent++
		} else if sent >= 2000 || most.Err() != nil {
			break
		}
	}
	// Two queues of 1,000 messages, a batch in each hand, a read and the socket's buffer.
	if sent < 2000 || sent > 8000 {
		t.Errorf("%d messages were taken in", sent)
	}
	if s := pull.Stats(); s.Waiting > 1000+largestRead/len(body) {
		t.Errorf("%d messages wait", s.Waiting)
	}
	for range sent {
		if _, err := pull.Recv(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

const largestRead = 256 << 10

// TestNothingIsAllocatedForALength has peers announce what never comes.
func TestNothingIsAllocatedForALength(t *testing.T) {
	pull := pattern.NewPull(nil)
	defer pull.Close()
	addr, err := pull.Listen(t.Context(), endpoint(t, "unix"))
	if err != nil {
		t.Fatal(err)
	}
	const peers = 100
	before := memory()
	for range peers {
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Push})
		if _, err := c.Write(zmtp.AppendHeader(nil, 0, 16<<20)); err != nil {
			t.Fatal(err)
		}
	}
	for pull.Stats().Peers < peers {
		runtime.Gosched()
	}
	if each := (memory() - before) / peers; each > 64<<10 {
		t.Errorf("%d bytes for each length that was announced", each)
	}
}

// memory gives the bytes that are in use, stacks included.
func memory() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestRestart has many clients come back to a server that restarts.
func TestRestart(t *testing.T) {
	const clients = 2000
	if raceEnabled || testing.Short() {
		t.Skip("the race detector's goroutines are too slow for so many")
	}
	path := endpoint(t, "unix")
	server := pattern.NewServer(nil)
	if _, err := server.Listen(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	var dealers []*pattern.Dealer
	defer func() {
		for _, d := range dealers {
			_ = d.Close()
		}
	}()
	for range clients {
		d := pattern.NewDealer(nil)
		dealers = append(dealers, d)
		if err := d.Dial(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.WaitPeers(within(t), clients); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	server = pattern.NewServer(nil)
	defer server.Close()
	if _, err := server.Listen(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := server.WaitPeers(within(t), clients); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%d clients took %v to come back", clients, took)
	} else {
		t.Logf("%d clients came back in %v", clients, took)
	}
	if s := server.Stats(); s.HandshakesFailed > clients/10 {
		t.Errorf("%d handshakes failed", s.HandshakesFailed)
	}
}

func TestLinger(t *testing.T) {
	for _, tt := range []struct {
		name   string
		linger time.Duration
		reads  bool
		took   time.Duration
		lost   bool
	}{
		{"discards at once", 0, false, 0, true},
		{"gives up", 3 * time.Second, false, 3 * time.Second, true},
		{"waits for a slow peer", 10 * time.Second, true, 5 * time.Second, false},
		{"waits without limit", -1, true, 5 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				push := pattern.NewPush(&pattern.Options{Linger: tt.linger})
				addr, err := push.Listen(t.Context(), endpoint(t, "mem"))
				if err != nil {
					t.Fatal(err)
				}
				c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Pull})
				if err := push.WaitPeers(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				const n, size = 20, 100 << 10
				for range n {
					if err := push.Send(t.Context(), make([]byte, size)); err != nil {
						t.Fatal(err)
					}
				}
				read := make(chan int, 1)
				if tt.reads {
					go func() {
						time.Sleep(5 * time.Second)
						got := ends(t, c)
						_ = c.Close()
						read <- len(got)
					}()
				}
				synctest.Wait()
				start := time.Now()
				err = push.Close()
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				discarded, ok := errors.AsType[*pattern.DiscardError](err)
				if ok != tt.lost || ok && (discarded.Messages < n-3 || discarded.Messages > n) {
					t.Errorf("got %v", err)
				}
				if tt.reads {
					if got := <-read; got != n*(9+size) {
						t.Errorf("%d bytes came", got)
					}
				}
			})
		})
	}
}

// TestLingerForAnother has the only peer go while Close waits; the next one gets what is left.
func TestLingerForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		push := pattern.NewPush(&pattern.Options{Linger: -1})
		addr, err := push.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		dies := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Pull})
		const n, size = 10, 100 << 10
		for range n {
			if err := push.Send(t.Context(), make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- push.Close() }()
		synctest.Wait()
		if err := tincan.Abort(dies); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Pull})
		if got := ends(t, c); len(got) != n*(9+size) {
			t.Errorf("got %d bytes, want %d", len(got), n*(9+size))
		}
		_ = c.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
