//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// failures gives options whose events of failed handshakes come through the channel.
func failures() (*pattern.Options, <-chan error) {
	failed := make(chan error, 100)
	o := &pattern.Options{OnEvent: func(e pattern.Event) {
		if e.Kind == pattern.EventHandshakeFailed {
			select {
			case failed <- e.Err:
			default: // the peer tries again and again
			}
		}
	}}
	o.Backoff.Min, o.Backoff.Max = 10*time.Millisecond, 100*time.Millisecond
	return o, failed
}

// wantFailure waits for the failure of a handshake. A peer that finds out first, from what
// we sent, may close before it has sent what we would have found out from.
func wantFailure(t *testing.T, failed <-chan error, want error) {
	t.Helper()
	select {
	case err := <-failed:
		first := want != zmtp.ErrDenied && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET))
		if !errors.Is(err, want) && !first {
			t.Errorf("the handshake failed with %v, want %v", err, want)
		}
	case <-time.After(limit):
		t.Errorf("no handshake failed in %v, want %v", limit, want)
	}
}

// TestStrangers has peers with another mechanism, another password or key, and a socket
// type that may not talk to ours, on either side: we say which it was, serve a good peer
// all the same, and dial again (as libzmq doesn't, after most of these).
func TestStrangers(t *testing.T) {
	server, client, stranger := newKeys(t), newKeys(t), newKeys(t)
	plainServer := zmtp.PlainServer{Users: map[string]string{"user": "pass"}}
	curveServer := zmtp.CurveServer{SecretKey: server.secret, Clients: [][32]byte{client.public}}
	plainClient := zmtp.PlainClient{User: "user", Password: "pass"}
	curveClient := zmtp.CurveClient{ServerKey: server.public, PublicKey: client.public, SecretKey: client.secret}
	dialling := []misfit{ // with a Pull
		{"a dealer", nil, "dealer", "push", zmtp.ErrIncompatible},
		{"a subscriber", nil, "sub", "push", zmtp.ErrIncompatible},
		{"PLAIN for NULL", nil, "push plain-client user:pass", "push", zmtp.ErrMechanism},
		{"NULL for PLAIN", plainServer, "push", "push plain-client user:pass", zmtp.ErrMechanism},
		{"another password", plainServer, "push plain-client user:past", "push plain-client user:pass", zmtp.ErrDenied},
		{"another user", plainServer, "push plain-client root:pass", "push plain-client user:pass", zmtp.ErrDenied},
		{
			"PLAIN for CURVE", curveServer, "push plain-client user:pass",
			"push curve-client " + z85(server.public, client.public, client.secret), zmtp.ErrMechanism,
		},
		{
			"another key", curveServer, "push curve-client " + z85(server.public, stranger.public, stranger.secret),
			"push curve-client " + z85(server.public, client.public, client.secret), zmtp.ErrDenied,
		},
	}
	each(t, "dials", dialling, func(t *testing.T, peer zeromqPeer, test misfit, o *pattern.Options, failed <-chan error) {
		pull := pattern.NewPull(o)
		defer pull.Close()
		addr, err := pull.Listen(t.Context(), "tcp://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		dial(t, peer, addr.String(), test.bad)
		wantFailure(t, failed, test.want)
		dial(t, peer, addr.String(), test.good)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if got, err := pull.Recv(ctx); err != nil || len(got) != 1 || len(got[0]) != 5 {
			t.Errorf("a message of %d parts, %v, want one of 5 bytes", len(got), err)
		}
		if n := pull.Stats().Received; n != 1 {
			t.Errorf("%d messages were received, want 1", n)
		}
	})
	dialled := []misfit{ // with a Push
		{"a router", nil, "router", "", zmtp.ErrIncompatible},
		{"PLAIN for NULL", nil, "pull plain-server user:pass", "", zmtp.ErrMechanism},
		{"NULL for CURVE", curveClient, "pull", "", zmtp.ErrMechanism},
		{"another password", plainClient, "pull plain-server user:past", "", zmtp.ErrDenied},
		{"another client's key", curveClient, "pull curve-server " + z85(server.secret, stranger.public), "", zmtp.ErrDenied},
	}
	each(t, "listens", dialled, func(t *testing.T, peer zeromqPeer, test misfit, o *pattern.Options, failed <-chan error) {
		push := pattern.NewPush(o)
		defer push.Close()
		kind, options, _ := strings.Cut(test.bad, " ")
		p := peer.launch(t, "matrix_party", append([]string{kind, "listen", "tcp://127.0.0.1:0"},
			strings.Fields(options)...)...)
		if err := push.Dial(p.where(listening)); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, failed, test.want)
		wantFailure(t, failed, test.want) // it tries again
	})
}

// A misfit is a peer that doesn't fit, told as dial is, and one that does.
type misfit struct {
	name      string
	security  zmtp.Mechanism // ours
	bad, good string
	want      error
}

// each tries every peer as each of the misfits that it can be, with options for our socket and what fails with it.
func each(t *testing.T, does string, misfits []misfit, try func(t *testing.T, peer zeromqPeer, s misfit, o *pattern.Options, failed <-chan error)) {
	for _, peer := range zeromqPeers {
		for _, s := range misfits {
			if peer.plain && s.want != zmtp.ErrIncompatible {
				continue
			}
			t.Run(peer.name+" "+does+", "+s.name, func(t *testing.T) {
				t.Parallel()
				o, failed := failures()
				o.Security = s.security
				try(t, peer, s, o, failed)
			})
		}
	}
}

// dial starts a peer that dials, told by its type and options.
func dial(t *testing.T, peer zeromqPeer, endpoint, told string) {
	t.Helper()
	kind, options, _ := strings.Cut(told, " ")
	peer.launch(t, "matrix_party", append([]string{kind, "dial", endpoint}, strings.Fields(options)...)...)
}

// TestKilledInMessage kills senders in the middle of a message of 10 MB, with SIGKILL:
// what is received is whole, and the next sender's messages are too.
func TestKilledInMessage(t *testing.T) {
	for _, peer := range zeromqPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			pull := pattern.NewPull(nil)
			defer pull.Close()
			addr, err := pull.Listen(t.Context(), "tcp://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			const size = 10 << 20
			for seed := range 5 {
				p := peer.launch(t, "matrix_party", "push", "dial", addr.String(),
					"count", "50", "sizes", fmt.Sprint(size), "seed", fmt.Sprint(seed))
				for first := false; !first; {
					got, err := pull.Recv(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if len(got[0]) == 0 {
						t.Fatal("an empty message")
					}
					start := int(got[0][0])
					if err := same(got, [][]byte{content[start : start+size]}); err != nil {
						t.Fatal(err)
					}
					first = start == seed // else the last sender had sent it whole
				}
				p.kill() // it has 49 messages to go, and is in the middle of one
			}
		})
	}
}

// TestStoppedSubscriber stops a subscriber, with SIGSTOP, and publishes on: the others
// miss nothing, the queue stays within its bounds, and what the one has missed is counted.
func TestStoppedSubscriber(t *testing.T) {
	const batches, batch, size = 60, 500, 1024
	for _, peer := range zeromqPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			pub := pattern.NewPub(nil)
			defer pub.Close()
			addr, err := pub.Listen(ctx, "tcp://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			stopped := peer.launch(t, "notifications_subscriber", addr.String())
			well := pattern.NewSub(nil)
			defer well.Close()
			if err := errors.Join(well.Subscribe(""), well.Dial(addr.String()), pub.WaitSubscribers(ctx, 2)); err != nil {
				t.Fatal(err)
			}
			stopped.signal(syscall.SIGSTOP)
			padding := strings.Repeat("x", size)
			for i := range batches * batch {
				text := fmt.Sprintf("%d %s", i, padding)
				if err := pub.Send(ctx, []byte("n"), []byte(text)); err != nil {
					t.Fatal(err)
				}
				if (i+1)%batch != 0 {
					continue
				}
				for k := i + 1 - batch; k <= i; k++ { // keep pace with the one that reads
					got, err := well.Recv(ctx)
					if err != nil || len(got) != 2 || string(got[1]) != fmt.Sprintf("%d %s", k, padding) {
						t.Fatalf("message %d: %d parts, %v", k, len(got), err)
					}
				}
			}
			var dropped uint64
			for _, p := range pub.Peers() {
				dropped += p.Dropped
				if p.Queued > pattern.DefaultHighWater+batch || p.QueuedBytes > pattern.DefaultQueueBytes {
					t.Errorf("%d messages of %d bytes are queued for %s", p.Queued, p.QueuedBytes, p.Address)
				}
			}
			if dropped == 0 {
				t.Error("no message was dropped")
			}
			stopped.signal(syscall.SIGCONT)
			for i := 0; ; i++ { // until one finds room: then it has all that was kept for it
				if err := pub.Send(ctx, []byte("end"), fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
				if _, err := well.Recv(ctx); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(stopped.out.String(), "\nend ") {
					break
				}
			}
			last, heard := -1, 0
			for text := range strings.Lines(stopped.out.String()) {
				var i int
				if _, err := fmt.Sscanf(text, "n %d ", &i); err != nil {
					continue
				}
				if i <= last {
					t.Fatalf("message %d after %d", i, last)
				}
				last = i
				heard++
			}
			if heard+int(dropped) != batches*batch {
				t.Errorf("%d heard and %d dropped of %d", heard, dropped, batches*batch)
			}
		})
	}
}

// TestStoppedPuller stops a puller: Send waits until its ctx ends, the queue stays within
// its bounds, and nothing is lost when the peer goes on.
func TestStoppedPuller(t *testing.T) {
	const size, count = 65536, 2000
	for _, peer := range zeromqPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			push := pattern.NewPush(&pattern.Options{Linger: limit})
			defer push.Close()
			addr, err := push.Listen(ctx, "tcp://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			p := peer.launch(t, "matrix_party", "pull", "dial", addr.String(),
				"count", fmt.Sprint(count), "sizes", fmt.Sprint(size))
			if err := push.WaitPeers(ctx, 1); err != nil {
				t.Fatal(err)
			}
			p.signal(syscall.SIGSTOP)
			waited := false
			for i := 0; i < count; {
				patience, stop := context.WithTimeout(ctx, time.Second)
				if waited {
					patience = ctx
				}
				start := 31 * i % period
				err := push.Send(patience, content[start:start+size])
				stop()
				switch {
				case err == nil:
					i++
				case waited || !errors.Is(err, context.DeadlineExceeded):
					t.Fatal(err)
				default:
					waited = true
					for _, q := range push.Peers() {
						if q.Queued > pattern.DefaultHighWater || q.QueuedBytes > pattern.DefaultSendBytes+2*size {
							t.Errorf("%d messages of %d bytes are queued", q.Queued, q.QueuedBytes)
						}
					}
					p.signal(syscall.SIGCONT)
				}
			}
			if !waited {
				t.Error("Send never waited")
			}
			p.await(p.out, doneLine)
		})
	}
}
