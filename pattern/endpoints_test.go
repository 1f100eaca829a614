package pattern_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// TestUnlisten shows that nobody is taken any more at an endpoint that was given up, and who came through it stays.
func TestUnlisten(t *testing.T) {
	var events log
	pull := pattern.NewPull(&pattern.Options{OnEvent: events.add})
	path := listen(t, "unix", pull)
	kept := listen(t, "mem", pull)
	push := dialled(t, pattern.NewPush(nil), path)
	if err := pull.WaitPeers(within(t), 1); err != nil {
		t.Fatal(err)
	}
	if err := pull.Unlisten(path); err != nil {
		t.Fatal(err)
	}
	publish(t, push, "still here")
	want(t, pull, "still here")
	if c, err := tincan.Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dialled %v, %v", c, err)
	}
	publish(t, dialled(t, pattern.NewPush(nil), kept), "by the other")
	want(t, pull, "by the other")
	if got := events.find(pattern.EventAcceptFailed); len(got) > 0 {
		t.Errorf("events %v", got)
	}
	if err := pull.Unlisten(path); !errors.Is(err, pattern.ErrNoEndpoint) {
		t.Errorf("a second time: %v", err)
	}
	if err := pull.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pull.Unlisten(kept); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestUnlistenNames shows that an endpoint goes by what Listen was told, too.
func TestUnlistenNames(t *testing.T) {
	pull := pattern.NewPull(nil)
	defer pull.Close()
	for range 2 {
		if _, err := pull.Listen(t.Context(), "tcp4://127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	addr, err := pull.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := pull.Unlisten("tcp4://127.0.0.1:0"); err != nil {
		t.Error(err)
	}
	if err := pull.Unlisten(addr.String()); err != nil {
		t.Error(err)
	}
	if err := pull.Unlisten("tcp://127.0.0.1:0"); !errors.Is(err, pattern.ErrNoEndpoint) {
		t.Errorf("all are gone, and yet: %v", err)
	}
}

// TestUndial shows where messages go that are queued for a peer which is given up: none is lost, and none comes twice.
func TestUndial(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Minute} {
		t.Run(linger.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events log
				few := &pattern.Options{RecvHighWater: 1}
				left, right := pattern.NewPull(few), pattern.NewPull(few)
				first, second := listen(t, "mem", left), listen(t, "mem", right)
				push := dialled(t, pattern.NewPush(&pattern.Options{Linger: linger, OnEvent: events.add}), first)
				const n, size = 20, 100_000
				for i := range n {
					publish(t, push, fmt.Sprint(i), string(make([]byte, size)))
				}
				dialled(t, push, second)
				if err := push.WaitPeers(t.Context(), 2); err != nil {
					t.Fatal(err)
				}
				undialled := make(chan error, 1)
				go func() { undialled <- push.Undial(first) }()
				synctest.Wait()
				if ended := len(undialled) > 0; ended != (linger == 0) {
					t.Errorf("Undial has ended: %v", ended)
				}
				next, fromLeft := 0, 0
				for _, s := range []*pattern.Pull{left, right} {
					for s.Stats().Waiting > 0 {
						parts, err := s.Recv(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						if string(parts[0]) != fmt.Sprint(next) {
							t.Fatalf("got message %s, want %d", parts[0], next)
						}
						next++
						synctest.Wait()
					}
					if s == left {
						fromLeft = next
					}
				}
				if next != n || (fromLeft == n) != (linger > 0) {
					t.Errorf("%d messages came, %d of them by the peer that was given up", next, fromLeft)
				}
				if err := <-undialled; err != nil {
					t.Error(err)
				}
				publish(t, push, "for the other")
				want(t, right, "for the other")
				time.Sleep(time.Hour) // in which it would have been dialled again
				if got := len(left.Peers()); got != 0 {
					t.Errorf("it has %d peers", got)
				}
				if got := events.find(pattern.EventRetrying); len(got) > 0 {
					t.Errorf("events %v", got)
				}
				if gone := events.find(pattern.EventDisconnected); len(gone) != 1 || gone[0].Err != nil {
					t.Errorf("events %v, want one of an end in order", gone)
				}
				if err := push.Undial(first); !errors.Is(err, pattern.ErrNoEndpoint) {
					t.Errorf("a second time: %v", err)
				}
			})
		})
	}
}

// TestUndialDrops counts what is queued in a type that has nobody else for it.
func TestUndialDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := pattern.NewSub(&pattern.Options{RecvHighWater: 1})
		if err := sub.Subscribe(""); err != nil {
			t.Fatal(err)
		}
		addr := listen(t, "mem", sub)
		pub := dialled(t, pattern.NewPub(nil), addr)
		waitSubscribers(t, pub, 1)
		const n = 20
		for range n {
			publish(t, pub, string(make([]byte, 100_000)))
		}
		if err := pub.Undial(addr); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		came := 0
		for ; sub.Stats().Waiting > 0; came++ {
			if _, err := sub.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if dropped := pub.Stats().Dropped; dropped == 0 || came+int(dropped) != n {
			t.Errorf("%d came and %d were dropped, of %d", came, dropped, n)
		}
	})
}

// TestUndialEarly gives up endpoints before there is a peer: one where nobody is, and one that doesn't answer.
func TestUndialEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events log
		push := pattern.NewPush(&pattern.Options{OnEvent: events.add})
		defer push.Close()
		silent, err := tincan.Listen(t.Context(), "mem:silent")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		for _, e := range []string{"mem:silent", "mem:nobody", "mem:nobody"} {
			if err := push.Dial(e); err != nil {
				t.Fatal(err)
			}
		}
		c, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, e := range []string{"mem:silent", "mem:nobody"} {
			if err := push.Undial(e); err != nil {
				t.Error(err)
			}
		}
		ends(t, c)
		before := len(events.find(pattern.EventRetrying))
		time.Sleep(time.Hour)
		if got := events.find(pattern.EventRetrying); len(got) != before {
			t.Errorf("tried again: %v", got)
		}
		if got := events.find(pattern.EventHandshakeFailed); len(got) > 0 {
			t.Errorf("events %v", got)
		}
	})
}

// TestUndialAtOnce gives endpoints up while they are being connected.
func TestUndialAtOnce(t *testing.T) {
	pull := pattern.NewPull(nil)
	addr := listen(t, "unix", pull)
	push := pattern.NewPush(nil)
	defer push.Close()
	for range 100 {
		if err := push.Dial(addr); err != nil {
			t.Fatal(err)
		}
		if err := push.Undial(addr); err != nil {
			t.Fatal(err)
		}
		if got := push.Peers(); len(got) != 0 {
			t.Fatalf("it has peers: %v", got)
		}
	}
}
