package pattern_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// A log collects events.
type log struct {
	mu     sync.Mutex
	events []pattern.Event
	news   chan struct{} // is closed by the next event; nil while nobody waits
}

func (l *log) add(e pattern.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// await waits for n events of a kind, and gives all of the kind.
func (l *log) await(t testing.TB, kind pattern.EventKind, n int) []pattern.Event {
	t.Helper()
	ctx := within(t)
	for {
		l.mu.Lock()
		if l.news == nil {
			l.news = make(chan struct{})
		}
		news := l.news
		l.mu.Unlock()
		found := l.find(kind)
		if len(found) >= n {
			return found
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("%d events %q, want %d", len(found), kind, n)
		}
	}
}

// find gives the events of a kind.
func (l *log) find(kind pattern.EventKind) (found []pattern.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// rawDial connects to a listening socket without a handshake.
func rawDial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// rawPeer is rawDial with the handshake of a type.
func rawPeer(t testing.TB, addr net.Addr, config *zmtp.Config) net.Conn {
	t.Helper()
	c := rawDial(t, addr)
	if _, err := zmtp.Handshake(c, config); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends reads c to its end, which must come.
func ends(t testing.TB, c net.Conn) []byte {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil && tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("the connection did not end: %v", err)
	}
	return got
}

func isProtocolError(rule string) func(error) bool {
	return func(err error) bool {
		fault, ok := errors.AsType[*zmtp.ProtocolError](err)
		return ok && fault.Rule == rule
	}
}

func isError(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// TestMisbehaviour has one peer break a rule while another, honest one goes on.
func TestMisbehaviour(t *testing.T) {
	tests := []struct {
		name  string
		sends string // after the handshake
		rule  func(error) bool
	}{
		{name: "reserved bits", sends: "\x08\x00", rule: isProtocolError("37/ZMTP framing")},
		{name: "all bits", sends: "\xff\xff\xff\xff\xff\xff\xff\xff\xff", rule: isProtocolError("37/ZMTP framing")},
		{name: "length of 2^63-1", sends: "\x02\x7f\xff\xff\xff\xff\xff\xff\xff", rule: isError(pattern.ErrMessageTooLong)},
		{name: "length over 2^63-1", sends: "\x02\x80\x00\x00\x00\x00\x00\x00\x00", rule: isProtocolError("37/ZMTP framing")},
		{name: "too long", sends: "\x02\x00\x00\x00\x00\x00\x00\x04\x01", rule: isError(pattern.ErrMessageTooLong)},
		{name: "parts too long together", sends: "\x01\xff" + string(make([]byte, 255)) + "\x02\x00\x00\x00\x00\x00\x00\x03\x02", rule: isError(pattern.ErrMessageTooLong)},
		{name: "too many parts", sends: "\x01\x00\x01\x00\x01\x00\x01\x00\x00\x00", rule: isError(pattern.ErrMessageTooLong)},
		{name: "command with MORE", sends: "\x05\x00", rule: isProtocolError("37/ZMTP framing")},
		{name: "empty command", sends: "\x04\x00", rule: isProtocolError("37/ZMTP commands")},
		{name: "SUBSCRIBE within a message", sends: "\x01\x00\x04\x0b\x09SUBSCRIBEx", rule: isProtocolError("37/ZMTP framing")},
		{name: "READY again", sends: "\x04\x06\x05READY", rule: isProtocolError("37/ZMTP handshake")},
		{name: "PING without ttl", sends: "\x04\x05\x04PING", rule: isProtocolError("37/ZMTP heartbeats")},
		{name: "end within a message", sends: "\x01\x00\x00", rule: isError(io.ErrUnexpectedEOF)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l log
				pull := pattern.NewPull(&pattern.Options{MaxMessage: 1024, MaxParts: 4, OnEvent: l.add})
				push := pattern.NewPush(nil)
				join(t, "mem", pull, push)
				addr, err := pull.Listen(t.Context(), "mem:other"+t.Name())
				if err != nil {
					t.Fatal(err)
				}
				c := rawPeer(t, addr, &zmtp.Config{Type: zmtp.Push})
				whole := zmtp.AppendFrame(nil, 0, []byte("whole"))
				if _, err := c.Write(append(whole, tt.sends...)); err != nil {
					t.Fatal(err)
				}
				if err := tincan.CloseWrite(c); err != nil {
					t.Fatal(err)
				}
				ends(t, c)
				synctest.Wait()
				gone := l.find(pattern.EventDisconnected)
				if len(gone) != 1 || !tt.rule(gone[0].Err) {
					t.Errorf("got %+v, want one of the rule", gone)
				}
				if n := pull.Stats().Peers; n != 1 {
					t.Errorf("got %d peers, want the honest one", n)
				}
				// What was whole before is there, nothing of the rest is, and the other connection works.
				if err := push.Send(t.Context(), []byte("honest")); err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for range 2 {
					parts, err := pull.Recv(t.Context())
					if err != nil || len(parts) != 1 {
						t.Fatalf("got %q, %v", parts, err)
					}
					seen[string(parts[0])] = true
				}
				if !seen["whole"] || !seen["honest"] || pull.Stats().Waiting != 0 {
					t.Errorf("got %v and %d more", seen, pull.Stats().Waiting)
				}
			})
		})
	}
}

// TestHandshakeFaults has peers that never become peers.
func TestHandshakeFaults(t *testing.T) {
	null := append(append([]byte{0xff}, make([]byte, 8)...), 0x7f, 3, 1, 'N', 'U', 'L', 'L')
	null = append(null, make([]byte, 64-len(null))...)
	plain := bytes.Replace(null, []byte("NULL\x00"), []byte("PLAIN"), 1)
	tests := []struct {
		name  string
		sends []byte
		rule  func(error) bool
		after time.Duration
	}{
		{name: "silent", rule: func(err error) bool { return tincan.KindOf(err) == tincan.KindTimeout }, after: 30 * time.Second},
		{name: "half a greeting", sends: null[:20], rule: func(err error) bool { return tincan.KindOf(err) == tincan.KindTimeout }, after: 30 * time.Second},
		{name: "another protocol", sends: []byte("GET / HTTP/1.1\r\n\r\n"), rule: isProtocolError("37/ZMTP greeting")},
		{name: "wrong mechanism", sends: plain, rule: isError(zmtp.ErrMechanism)},
		{
			name:  "incompatible type",
			sends: append(null[:64:64], zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendReady(nil, []zmtp.Property{{Name: "Socket-Type", Value: []byte("PULL")}}))...),
			rule:  isError(zmtp.ErrIncompatible),
		},
		{name: "a message", sends: append(null[:64:64], 0, 0), rule: isProtocolError("37/ZMTP handshake")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l log
				pull := pattern.NewPull(&pattern.Options{OnEvent: l.add})
				push := pattern.NewPush(nil)
				join(t, "mem", pull, push)
				addr, err := pull.Listen(t.Context(), "mem:other"+t.Name())
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				c := rawDial(t, addr)
				if _, err := c.Write(tt.sends); err != nil {
					t.Fatal(err)
				}
				ends(t, c)
				if took := time.Since(start); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
				synctest.Wait()
				failed := l.find(pattern.EventHandshakeFailed)
				if len(failed) != 1 || !tt.rule(failed[0].Err) {
					t.Errorf("got %+v, want one of the rule", failed)
				}
				if s := pull.Stats(); s.Peers != 1 || s.HandshakesFailed != 1 {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		socket func(*pattern.Options) socket
		peer   zmtp.Config
		rule   error
		honest func() socket
	}{
		{
			"second peer of a pair", func(o *pattern.Options) socket { return pattern.NewPair(o) },
			zmtp.Config{Type: zmtp.Pair},
			pattern.ErrPaired, func() socket { return pattern.NewPair(nil) },
		},
		{
			"duplicate identity", func(o *pattern.Options) socket { return pattern.NewRouter(o) },
			zmtp.Config{Type: zmtp.Dealer, Identity: []byte("me")},
			pattern.ErrDuplicateIdentity, func() socket { return pattern.NewDealer(&pattern.Options{Identity: []byte("me")}) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l log
				s := tt.socket(&pattern.Options{OnEvent: l.add})
				join(t, "mem", s, tt.honest())
				addr, err := s.Listen(t.Context(), "mem:other"+t.Name())
				if err != nil {
					t.Fatal(err)
				}
				c := rawPeer(t, addr, &tt.peer)
				ends(t, c)
				synctest.Wait()
				refused := l.find(pattern.EventRefused)
				if len(refused) != 1 || !errors.Is(refused[0].Err, tt.rule) {
					t.Errorf("got %+v, want %v", refused, tt.rule)
				}
				if got := s.(interface{ Stats() pattern.Stats }).Stats(); got.Peers != 1 || got.Refused != 1 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}
