package pattern_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

func TestRouter(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			ctx := within(t)
			router := pattern.NewRouter(nil)
			named := pattern.NewDealer(&pattern.Options{Identity: []byte("named")})
			join(t, scheme, router, named)
			anonymous := pattern.NewDealer(nil)
			defer anonymous.Close()
			if err := anonymous.Dial(router.Peers()[0].Endpoint); err != nil {
				t.Fatal(err)
			}
			for _, d := range []*pattern.Dealer{named, anonymous} {
				if err := d.Send(ctx, []byte("a"), nil, []byte("b")); err != nil {
					t.Fatal(err)
				}
				parts, err := router.Recv(ctx)
				if err != nil || len(parts) != 4 || string(parts[1]) != "a" || len(parts[2]) != 0 || string(parts[3]) != "b" {
					t.Fatalf("got %q, %v", parts, err)
				}
				switch id := parts[0]; {
				case d == named && string(id) != "named", d == anonymous && (len(id) != 5 || id[0] != 0):
					t.Errorf("got identity %q", id)
				}
				if err := router.Send(ctx, parts[0], []byte("back")); err != nil {
					t.Fatal(err)
				}
				if parts, err = d.Recv(ctx); err != nil || len(parts) != 1 || string(parts[0]) != "back" {
					t.Errorf("got %q, %v", parts, err)
				}
			}
			if err := router.Send(ctx, []byte("nobody"), nil); !errors.Is(err, pattern.ErrUnroutable) {
				t.Errorf("got %v, want ErrUnroutable", err)
			}
			if n := router.Stats().Unroutable; n != 1 {
				t.Errorf("%d are counted", n)
			}
		})
	}
}

func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := pattern.NewRouter(&pattern.Options{Handover: true, DropUnroutable: true})
		defer router.Close()
		addr, err := router.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		config := &zmtp.Config{Type: zmtp.Dealer, Identity: []byte("me")}
		old := rawPeer(t, addr, config)
		synctest.Wait()
		newcomer := rawPeer(t, addr, config)
		ends(t, old)
		if err := router.Send(t.Context(), []byte("me"), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 7)
		if _, err := newcomer.Read(b); err != nil || string(b) != "\x00\x05hello" {
			t.Errorf("got %q, %v", b, err)
		}
		if err := router.Send(t.Context(), []byte("nobody"), nil); err != nil || router.Stats().Unroutable != 1 {
			t.Errorf("got %v, %d unroutable", err, router.Stats().Unroutable)
		}
	})
}

// TestLateReply gives a request up and makes another, which must get its own reply.
func TestLateReply(t *testing.T) {
	for name, ask := range map[string]requester{"req": pattern.NewReq(nil), "client": pattern.NewClient(nil)} {
		t.Run(name, func(t *testing.T) {
			server := pattern.NewServer(nil)
			release := make(chan struct{})
			serve(t, server, func(_ context.Context, request []byte) ([]byte, error) {
				if string(request) == "slow" {
					<-release
				}
				return request, nil
			})
			join(t, "unix", server, ask)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := ask.Request(ctx, []byte("slow")); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			close(release)
			for i := range 100 {
				want := fmt.Sprint(i)
				parts, err := ask.Request(within(t), []byte(want))
				if err != nil || len(parts) != 1 || string(parts[0]) != want {
					t.Fatalf("got %q, %v, want %s", parts, err, want)
				}
			}
		})
	}
}

// TestPeerLost has the peer go with a request.
func TestPeerLost(t *testing.T) {
	for name, newSocket := range map[string]func() requester{
		"req":    func() requester { return pattern.NewReq(nil) },
		"client": func() requester { return pattern.NewClient(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := newSocket()
				rep := pattern.NewRep(nil)
				join(t, "mem", rep, ask)
				failed := make(chan error, 1)
				go func() {
					_, err := ask.Request(t.Context(), []byte("x"))
					failed <- err
				}()
				request, err := rep.Recv(t.Context())
				if err != nil || len(request.Parts) != 1 || string(request.Parts[0]) != "x" {
					t.Fatalf("got %+v, %v", request, err)
				}
				_ = rep.Close()
				if err := <-failed; !errors.Is(err, pattern.ErrPeerLost) {
					t.Errorf("got %v", err)
				}
				if err := request.Reply(nil); !errors.Is(err, net.ErrClosed) {
					t.Errorf("late reply: got %v", err)
				}
				go func() {
					_, err := ask.Request(t.Context(), []byte("x"))
					failed <- err
				}()
				synctest.Wait()
				_ = ask.Close()
				if err := <-failed; !errors.Is(err, net.ErrClosed) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestEnvelope looks at the frames that Req, Rep and Client put on the wire.
func TestEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		rep := pattern.NewRep(&pattern.Options{OnEvent: l.add})
		defer rep.Close()
		addr, err := rep.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Dealer})
		// A message without a delimiter is dropped, the next one is answered with its whole envelope.
		if _, err := c.Write([]byte("\x00\x03bad" + "\x01\x01a\x01\x01b\x01\x00\x01\x01c\x00\x01d")); err != nil {
			t.Fatal(err)
		}
		r, err := rep.Recv(t.Context())
		if err != nil || len(r.Parts) != 2 || string(r.Parts[0])+string(r.Parts[1]) != "cd" {
			t.Fatalf("got %q, %v", r.Parts, err)
		}
		if err := r.Reply([]byte("e"), []byte("f")); err != nil {
			t.Fatal(err)
		}
		if err := r.Reply(nil); !errors.Is(err, pattern.ErrReplied) {
			t.Errorf("got %v", err)
		}
		want := "\x01\x01a\x01\x01b\x01\x00\x01\x01e\x00\x01f"
		b := make([]byte, len(want))
		if _, err := c.Read(b); err != nil || string(b) != want {
			t.Errorf("got %q, %v", b, err)
		}
		if e := l.find(pattern.EventDropped); len(e) != 1 || !errors.Is(e[0].Err, pattern.ErrNoDelimiter) || rep.Stats().Dropped != 1 {
			t.Errorf("got %+v", e)
		}
	})
}

// TestUnreadReplies has one peer ask without end and read nothing: others are still answered, and the memory for it is bounded.
func TestUnreadReplies(t *testing.T) {
	for _, handlers := range []int{1, 8} {
		t.Run(fmt.Sprint(handlers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const highWater = 10
				server := pattern.NewServer(&pattern.Options{Handlers: handlers, SendHighWater: highWater, RecvHighWater: highWater})
				serve(t, server, echo)
				client := pattern.NewClient(nil)
				join(t, "mem", server, client)
				addr, err := server.Listen(t.Context(), "mem:other"+t.Name())
				if err != nil {
					t.Fatal(err)
				}
				c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Dealer})
				request := zmtp.AppendFrame([]byte{1, 0}, 0, make([]byte, 10<<10))
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				asked := 0
				for {
					if _, err := c.Write(request); err != nil {
						break
					}
					asked++
				}
				if asked > 100 {
					t.Errorf("%d requests were taken in", asked)
				}
				for range 10 {
					if _, err := client.Request(t.Context(), []byte("x")); err != nil {
						t.Fatal(err)
					}
				}
				// Once it reads, all are answered.
				got, buf := 0, make([]byte, 1<<20)
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				for {
					n, err := c.Read(buf)
					if got += n; err != nil {
						break
					}
				}
				if n := got / len(request); n < asked {
					t.Errorf("%d were asked, %d answered", asked, n)
				}
			})
		})
	}
}

// TestDrain ends Serve while requests are under way: each is answered.
func TestDrain(t *testing.T) {
	const n = 1000
	server, client := pattern.NewServer(&pattern.Options{Linger: time.Minute}), pattern.NewClient(nil)
	join(t, "unix", server, client)
	ctx, cancel := context.WithCancel(t.Context())
	var under, all sync.WaitGroup
	under.Add(n)
	for i := range n {
		all.Go(func() {
			want := fmt.Sprint(i)
			parts, err := client.Request(within(t), []byte(want))
			if err != nil || string(parts[0]) != want {
				t.Errorf("got %q, %v", parts, err)
			}
		})
	}
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, func(_ context.Context, request []byte) ([]byte, error) {
			under.Done()
			<-ctx.Done() // they are all under way when it ends
			return request, nil
		})
	}()
	under.Wait()
	cancel()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// TestFairness has one peer send much more than others.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pull := pattern.NewPull(nil)
		defer pull.Close()
		addr, err := pull.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			push := pattern.NewPush(nil)
			defer push.Close()
			if err := push.Dial(addr.String()); err != nil {
				t.Fatal(err)
			}
			n := 10
			if name == "a" {
				n = 500
			}
			for range n {
				if err := push.Send(t.Context(), []byte(name)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		counts := map[string]int{}
		for range 30 {
			parts, err := pull.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			counts[string(parts[0])]++
		}
		if counts["a"] != 10 || counts["b"] != 10 || counts["c"] != 10 {
			t.Errorf("got %v", counts)
		}
	})
}

func TestSecurity(t *testing.T) {
	serverPublic, serverSecret, err := zmtp.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	curve := zmtp.CurveServer{SecretKey: serverSecret, Allow: func(key [32]byte) bool { return key == public }}
	plain := zmtp.PlainServer{Users: map[string]string{"me": "secret"}}
	tests := []struct {
		name           string
		server, client zmtp.Mechanism
		denied         error
	}{
		{"plain", plain, zmtp.PlainClient{User: "me", Password: "secret"}, nil},
		{"plain denied", plain, zmtp.PlainClient{User: "me", Password: "wrong"}, zmtp.ErrDenied},
		{"curve", curve, zmtp.CurveClient{ServerKey: serverPublic, PublicKey: public, SecretKey: secret}, nil},
		{"curve denied", curve, zmtp.CurveClient{ServerKey: serverPublic, PublicKey: serverPublic, SecretKey: serverSecret}, zmtp.ErrDenied},
		{"null to curve", curve, nil, zmtp.ErrMechanism},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l log
			told := make(chan struct{}, 1)
			tell := func(e pattern.Event) {
				l.add(e)
				select {
				case told <- struct{}{}:
				default:
				}
			}
			pull := pattern.NewPull(&pattern.Options{Security: tt.server, OnEvent: tell})
			push := pattern.NewPush(&pattern.Options{Security: tt.client, OnEvent: tell})
			defer pull.Close()
			defer push.Close()
			addr, err := pull.Listen(t.Context(), endpoint(t, "unix"))
			if err != nil {
				t.Fatal(err)
			}
			if err := push.Dial(addr.String()); err != nil {
				t.Fatal(err)
			}
			if tt.denied != nil {
				// Whichever end finds out first hangs up, and the other may see no more than that; it is tried again.
				for ctx := within(t); !slices.ContainsFunc(l.find(pattern.EventHandshakeFailed), func(e pattern.Event) bool {
					return errors.Is(e.Err, tt.denied)
				}); {
					select {
					case <-told:
					case <-ctx.Done():
						t.Fatalf("got %+v", l.find(pattern.EventHandshakeFailed))
					}
				}
				return
			}
			ctx := within(t)
			const n = 3000
			go func() {
				for i := range n {
					_ = push.Send(ctx, fmt.Append(nil, i), make([]byte, 30*(i%100)))
				}
			}()
			for i := range n {
				parts, err := pull.Recv(ctx)
				if err != nil || len(parts) != 2 || string(parts[0]) != fmt.Sprint(i) || len(parts[1]) != 30*(i%100) {
					t.Fatalf("message %d: got %d parts, %v", i, len(parts), err)
				}
			}
		})
	}
}

func TestClose(t *testing.T) {
	path := endpoint(t, "unix")
	pull := pattern.NewPull(nil)
	if _, err := pull.Listen(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	received := make(chan error, 1)
	go func() {
		_, err := pull.Recv(t.Context())
		received <- err
	}()
	push := pattern.NewPush(nil)
	sent := make(chan error, 1)
	go func() { sent <- push.Send(t.Context(), nil) }()
	if err := push.Dial("tcp://127.0.0.1:1"); err != nil { // nobody is there
		t.Fatal(err)
	}
	for _, s := range []socket{pull, push} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := s.Dial(path); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial: got %v", err)
		}
		if _, err := s.Listen(t.Context(), "tcp://127.0.0.1:0"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen: got %v", err)
		}
		if err := s.WaitPeers(t.Context(), 1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WaitPeers: got %v", err)
		}
	}
	for _, c := range []chan error{received, sent} {
		if err := <-c; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Lstat(path[len("unix:"):]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the path is still there: %v", err)
	}
}

func TestBadEndpoint(t *testing.T) {
	push := pattern.NewPush(nil)
	defer push.Close()
	for _, e := range []string{"nonsense", "tcp://x:y:z", "udp://127.0.0.1:1", "ws://127.0.0.1:1"} {
		if err := push.Dial(e); tincan.KindOf(err) != tincan.KindUsage {
			t.Errorf("Dial(%q): got %v", e, err)
		}
		if _, err := push.Listen(t.Context(), e); tincan.KindOf(err) != tincan.KindUsage {
			t.Errorf("Listen(%q): got %v", e, err)
		}
	}
}

// TestManySenders sends from many goroutines to many peers, and accounts for every message.
func TestManySenders(t *testing.T) {
	const senders, receivers, each = 8, 3, 5000
	push := pattern.NewPush(nil)
	defer push.Close()
	addr, err := push.Listen(t.Context(), endpoint(t, "unix"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	left := senders * each
	done, finish := context.WithCancel(ctx)
	for range receivers {
		pull := pattern.NewPull(nil)
		defer pull.Close()
		if err := pull.Dial(addr.String()); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for {
				parts, err := pull.Recv(done)
				if err != nil {
					return
				}
				mu.Lock()
				seen[string(parts[0])]++
				if left--; left == 0 {
					finish()
				}
				mu.Unlock()
			}
		})
	}
	if err := push.WaitPeers(ctx, receivers); err != nil {
		t.Fatal(err)
	}
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				if err := push.Send(ctx, fmt.Appendf(nil, "%d-%d", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	finish()
	if len(seen) != senders*each {
		t.Errorf("got %d different messages", len(seen))
	}
	for _, p := range push.Peers() {
		// One that is kept from its turn gets less than its share, but what it has room for.
		if p.Sent < pattern.DefaultHighWater || p.Queued != 0 || p.Type != zmtp.Pull {
			t.Errorf("got %+v", p)
		}
	}
	if s := push.Stats(); s.Sent != senders*each || s.Peers != receivers {
		t.Errorf("got %+v", s)
	}
}
