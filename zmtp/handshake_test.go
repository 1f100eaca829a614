package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// ends gives the two ends of a TCP connection.
func ends(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// A minorZero is a peer of 3.0: the minor version in its greeting is 0.
type minorZero struct {
	net.Conn
	sent int
}

func (m *minorZero) Write(b []byte) (int, error) {
	if at := minorAt - m.sent; at >= 0 && at < len(b) {
		b = bytes.Clone(b)
		b[at] = 0
	}
	m.sent += len(b)
	return m.Conn.Write(b)
}

// shake does the handshakes of both ends; the first may be of 3.0.
func shake(t testing.TB, a, b *Config, old bool) (sa, sb *Session, errA, errB error) {
	t.Helper()
	ca, cb := ends(t)
	if old {
		ca = &minorZero{Conn: ca}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if sb, errB = Handshake(cb, b); errB != nil {
			cb.Close()
		}
	}()
	if sa, errA = Handshake(ca, a); errA != nil {
		ca.Close()
	}
	<-done
	return sa, sb, errA, errB
}

// A side is one end's mechanism, by name.
type side struct {
	name           string
	client, server Mechanism
}

func mechanisms(t testing.TB) []side {
	server, client := readKey(t, "server"), readKey(t, "client")
	return []side{
		{"NULL", nil, nil},
		{"PLAIN", PlainClient{User: "ann", Password: "pw"}, PlainServer{Users: map[string]string{"ann": "pw"}}},
		{
			"CURVE",
			CurveClient{ServerKey: PublicKey(server), PublicKey: PublicKey(client), SecretKey: client},
			CurveServer{SecretKey: server, Clients: [][32]byte{PublicKey(client)}},
		},
	}
}

// Each mechanism, with peers of 3.1 and 3.0, which may be the client or the server: both ends know of each other, and frames of
// every kind pass in both directions.
func TestHandshake(t *testing.T) {
	for _, m := range mechanisms(t) {
		for _, old := range []bool{false, true} {
			for _, oldServes := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/old %v/serves %v", m.name, old, oldServes), func(t *testing.T) {
					a := &Config{Type: Req, Identity: []byte("me"), Mechanism: m.client, Properties: []Property{{Name: "X-Extra", Value: []byte("1")}}}
					b := &Config{Type: Router, Mechanism: m.server}
					if oldServes {
						a.Mechanism, b.Mechanism = b.Mechanism, a.Mechanism
					}
					sa, sb, errA, errB := shake(t, a, b, old)
					if errA != nil || errB != nil {
						t.Fatal(errA, errB)
					}
					pa, pb := sa.Peer(), sb.Peer()
					if !pa.AtLeast(3, 1) || pb.AtLeast(3, 1) == old || !pb.AtLeast(3, 0) || !pb.AtLeast(2, 0) {
						t.Errorf("versions %d.%d and %d.%d", pa.Major, pa.Minor, pb.Major, pb.Minor)
					}
					if pb.Type != Req || string(pb.Identity) != "me" || pa.Type != Router || pb.Mechanism != m.name || pa.Mechanism != m.name {
						t.Errorf("peers %+v and %+v", pa, pb)
					}
					if extra, ok := pb.Property("x-EXTRA"); string(extra) != "1" || !ok {
						t.Errorf("X-Extra: %q, %v", extra, ok)
					}
					if sa.Secure() != (m.name == "CURVE") || sb.Secure() != sa.Secure() {
						t.Errorf("secure: %v, %v", sa.Secure(), sb.Secure())
					}
					exchange(t, sa, sb)
					exchange(t, sb, sa)
				})
			}
		}
	}
}

// exchange sends frames of every kind.
func exchange(t *testing.T, from, to *Session) {
	t.Helper()
	for _, f := range []Flags{0, FlagMore, FlagCommand} {
		for _, size := range []int{0, 1, 200, 255, 256, 300000} {
			want := bytes.Repeat([]byte{7}, size)
			got := readFrames(t, to, bytes.NewReader(from.Seal(nil, f, want)))
			if len(got) != 1 || got[0].f != f || got[0].body != string(want) {
				t.Fatalf("flags %v, %d bytes: got %d frames", f, size, len(got))
			}
			frame := from.Seal([]byte("before"), f, want)
			h, n, err := ParseHeader(frame[6:])
			if err != nil || string(frame[:6]) != "before" || int(h.Length) != len(want)+to.Overhead() {
				t.Fatalf("%+v, %v", h, err)
			}
			if _, _, err := to.Open(h.Flags, frame[6+n:]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDifferentMechanisms(t *testing.T) {
	all := mechanisms(t)
	for i, a := range all {
		for j, b := range all {
			if i == j {
				continue
			}
			_, _, errA, errB := shake(t, &Config{Mechanism: a.client}, &Config{Mechanism: b.server}, false)
			for _, err := range []error{errA, errB} {
				refused, ok := errors.AsType[*HandshakeError](err)
				if !ok || !errors.Is(err, ErrMechanism) || refused.Ours == refused.Theirs {
					t.Errorf("%s and %s: %v", a.name, b.name, err)
				}
			}
		}
		if a.name == "NULL" {
			continue
		}
		// 2.0 has NULL alone; what is sent must not give it a chance to go on.
		peer := play(append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x00"), 0, 0))
		if _, err := Handshake(peer, &Config{Mechanism: a.client}); !errors.Is(err, ErrMechanism) {
			t.Errorf("%s and ZMTP 2.0: %v", a.name, err)
		}
	}
}

func TestIncompatible(t *testing.T) {
	for _, m := range mechanisms(t) {
		_, _, errA, errB := shake(t, &Config{Type: Pull, Mechanism: m.client}, &Config{Type: Pub, Mechanism: m.server}, false)
		refused, ok := errors.AsType[*HandshakeError](errB)
		if !ok || refused.Err != ErrIncompatible || refused.Ours != "PUB" || refused.Theirs != "PULL" {
			t.Errorf("%s: %v", m.name, errB)
		}
		refused, ok = errors.AsType[*HandshakeError](errA)
		if !ok {
			t.Errorf("%s: %v", m.name, errA)
		} else if m.name != "NULL" && (refused.Err != ErrDenied || refused.Reason == "") {
			t.Errorf("%s: the client was told %v", m.name, errA)
		}
	}
	for name, stream := range map[string]string{
		"unknown type": greeting + ready("\x0bSocket-Type\x00\x00\x00\x06CLIENT"),
		"2.0":          "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x01\x00\x00",
		"2.0, unknown": "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x0b\x00\x00",
	} {
		if _, err := Handshake(play([]byte(stream)), &Config{Type: Req}); !errors.Is(err, ErrIncompatible) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// greeting is a NULL peer's.
var greeting = string(AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: "NULL"}))

func ready(metadata string) string { return command("\x05READY" + metadata) }

func command(body string) string { return string(AppendFrame(nil, FlagCommand, []byte(body))) }

const rep = "\x0bSocket-Type\x00\x00\x00\x03REP"

// A silent is a peer that says no more: the handshake is to end before it reads on.
type silent struct{ t *testing.T }

func (s silent) Read([]byte) (int, error) {
	s.t.Error("the handshake waits for more")
	return 0, io.ErrNoProgress
}

// Faults of the peer are told by rule, as soon as they are there, and cost no memory to speak of.
func TestHandshakeFaults(t *testing.T) {
	signature := "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
	for _, test := range []struct{ name, stream, rule string }{
		{"HTTP", "G", ruleGreeting},
		{"TLS", "\x16", ruleGreeting},
		{"ZMTP 1.0, anonymous", "\x01", ruleGreeting},
		{"ZMTP 1.0, long identity", "\xff\x00\x00\x00\x00\x00\x00\x01\x00\x00", ruleGreeting},
		{"revision 0", signature + "\x00", ruleGreeting},
		{"signature", "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x01", ruleGreeting},
		{"mechanism", signature + "\x03\x01null" + strings.Repeat("\x00", 48), ruleGreeting},
		{"ZMTP 2.0, long identity", signature + "\x01\x04\x02\x00", ruleZMTP2},
		{"ZMTP 2.0, identity with more", signature + "\x01\x04\x01\x00", ruleZMTP2},
		{"ZMTP 2.0, identity begins with 0", signature + "\x01\x04\x00\x01\x00", ruleZMTP2},
		{"message", greeting + "\x00\x05", ruleHandshake},
		{"reserved flags", greeting + "\x08\x05", ruleFraming},
		{"command with more", greeting + "\x05\x05", ruleFraming},
		{"length over 2^63-1", greeting + "\x06\x80", ruleFraming},
		{"length of 2^63-1", greeting + "\x06\x7f\xff\xff\xff\xff\xff\xff\xff", ruleHandshake},
		{"length over the limit", greeting + "\x06\x00\x00\x00\x00\x00\x00\x20\x01", ruleHandshake},
		{"empty command", greeting + command(""), ruleCommand},
		{"other command", greeting + command("\x04PING\x00\x00"), ruleHandshake},
		{"unknown command", greeting + command("\x03FOO"), ruleHandshake},
		{"cut ERROR", greeting + command("\x05ERROR\x05abc"), ruleHandshake},
		{"no type", greeting + ready(""), ruleMetadata},
		{"cut metadata", greeting + ready(rep[:8]), ruleMetadata},
		{"many properties", greeting + ready(rep+strings.Repeat("\x01a\x00\x00\x00\x00", 64)), ruleMetadata},
		{"value longer than READY", greeting + ready("\x01a\x7f\xff\xff\xff"), ruleMetadata},
		{"identity begins with 0", greeting + ready(rep+"\x08Identity\x00\x00\x00\x01\x00"), ruleMetadata},
		{"identity of 256 bytes", greeting + ready(rep+"\x08Identity\x00\x00\x01\x00"+strings.Repeat("i", 256)), ruleMetadata},
	} {
		t.Run(test.name, func(t *testing.T) {
			peer := &recording{Reader: io.MultiReader(strings.NewReader(test.stream), silent{t})}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Handshake(peer, &Config{Type: Req})
			runtime.ReadMemStats(&after)
			wantFault(t, err, test.rule)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<10 {
				t.Errorf("took %d bytes of memory", used)
			}
		})
	}
}

// What is odd but legal.
func TestHandshakeAccepts(t *testing.T) {
	for name, stream := range map[string]string{
		"case of names":     greeting + ready("\x0bsocket-TYPE\x00\x00\x00\x03REP\x08IDENTITY\x00\x00\x00\x01i"),
		"other properties":  greeting + ready("\x05X-Foo\x00\x00\x00\x00"+rep+"\x08Resource\x00\x00\x00\x01r\x08Identity\x00\x00\x00\x01i"),
		"long form":         greeting + "\x06\x00\x00\x00\x00\x00\x00\x00\x27\x05READY" + rep + "\x08Identity\x00\x00\x00\x01i",
		"later version":     strings.Replace(greeting, "\x03\x01NULL", "\x04\x07NULL", 1) + ready(rep+"\x08Identity\x00\x00\x00\x01i"),
		"as-server of NULL": greeting[:32] + "\x01" + greeting[33:] + ready(rep+"\x08Identity\x00\x00\x00\x01i"),
		"8 KiB":             greeting + ready(rep+"\x08Identity\x00\x00\x00\x01i\x01p\x00\x00\x1f\xd0"+strings.Repeat("p", 0x1fd0)),
		"ZMTP 2.0":          "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x04\x00\x01i",
		"ZMTP 2.0 as 2":     "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x02\x04\x00\x01i",
	} {
		t.Run(name, func(t *testing.T) {
			// Not one byte more than the handshake is read.
			s, err := Handshake(&recording{Reader: io.MultiReader(strings.NewReader(stream), silent{t})}, &Config{Type: Req})
			if err != nil {
				t.Fatal(err)
			}
			if p := s.Peer(); p.Type != Rep || string(p.Identity) != "i" {
				t.Errorf("peer %+v", p)
			}
		})
	}
}

// A peer of 2.0 takes all that follows the version for messages: it must not be sent before the peer's is known.
func TestDowngrade(t *testing.T) {
	peer := &recording{}
	peer.Reader = io.MultiReader(strings.NewReader("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01"), readerFunc(func(b []byte) (int, error) {
		if got, want := peer.sent.String(), greeting[:11]+"\x05\x00\x02me"; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
		return copy(b, "\x06\x00\x00"), nil
	}))
	s, err := Handshake(peer, &Config{Type: Dealer, Identity: []byte("me")})
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Peer(); p.Major != 2 || p.Minor != 0 || p.Type != Router || p.Mechanism != "NULL" || p.AtLeast(3, 0) {
		t.Errorf("peer %+v", p)
	}
	_, _, err = s.Open(FlagCommand, []byte("\x04PING\x00\x00"))
	wantFault(t, err, ruleZMTP2)
	if f, body, err := s.Open(FlagMore|FlagLong, []byte("b")); f != FlagMore || string(body) != "b" || err != nil {
		t.Errorf("got %v, %q, %v", f, body, err)
	}
	if got := s.SealSubscription(nil, Subscription{Topic: []byte("t")}); string(got) != "\x00\x02\x01t" {
		t.Errorf("subscription %q", got)
	}
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// The first that is sent, by mechanism: all of the greeting, unless the peer may be of 2.0.
func TestGreetingSent(t *testing.T) {
	for _, m := range mechanisms(t) {
		for _, server := range []bool{false, true} {
			c := &Config{Mechanism: m.client}
			want := AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: m.name, AsServer: server && m.name != "NULL"})
			if server {
				c.Mechanism = m.server
			}
			if m.name == "NULL" {
				want = want[:11]
			}
			peer := play(nil)
			if _, err := Handshake(peer, c); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v, want io.ErrUnexpectedEOF", m.name, err)
			}
			if got := peer.sent.Bytes(); !bytes.Equal(got, want) {
				t.Errorf("%s: sent %q, want %q", m.name, got, want)
			}
		}
	}
}

// READY is as libzmq looks for it: names in this case, Identity told by the types that libzmq tells it by.
func TestReadySent(t *testing.T) {
	for _, test := range []struct {
		c    Config
		want string
	}{
		{Config{Type: Req}, "\x0bSocket-Type\x00\x00\x00\x03REQ\x08Identity\x00\x00\x00\x00"},
		{Config{Type: Push}, "\x0bSocket-Type\x00\x00\x00\x04PUSH"},
		{Config{Type: Push, Identity: []byte("i")}, "\x0bSocket-Type\x00\x00\x00\x04PUSH\x08Identity\x00\x00\x00\x01i"},
		{Config{Type: Pub, Properties: []Property{{Name: "X-a", Value: []byte("v")}}}, "\x0bSocket-Type\x00\x00\x00\x03PUB\x03X-a\x00\x00\x00\x01v"},
	} {
		peer := play([]byte(greeting))
		if _, err := Handshake(peer, &test.c); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
		}
		if got, want := peer.sent.String(), greeting+ready(test.want); got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	for name, c := range map[string]*Config{
		"type":           {Type: 11},
		"identity":       {Identity: make([]byte, 1)},
		"long identity":  {Identity: bytes.Repeat([]byte("i"), 256)},
		"property":       {Properties: []Property{{Name: "a b"}}},
		"empty property": {Properties: []Property{{}}},
		"many":           {Properties: slices.Repeat([]Property{{Name: "a"}}, MaxProperties)},
		"much":           {Properties: []Property{{Name: "a", Value: make([]byte, MaxHandshakeCommand)}}},
		"user":           {Mechanism: PlainClient{User: strings.Repeat("u", 256)}},
		"password":       {Mechanism: PlainClient{Password: strings.Repeat("p", 256)}},
	} {
		peer := play(nil)
		if _, err := Handshake(peer, c); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || peer.sent.Len() > 0 {
			t.Errorf("%s: %v, and %d bytes were sent", name, err, peer.sent.Len())
		}
	}
}

// The deadline of the connection ends a handshake with a silent peer.
func TestHandshakeDeadline(t *testing.T) {
	a, _ := ends(t)
	if err := a.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := Handshake(a, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
	}
	a.Close()
	if _, err := Handshake(a, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
