package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	users := map[string]string{"ann": "pw", "nobody": ""}
	isBob := func(user, password string) bool { return user == "bob" && password == "bob's" }
	for _, test := range []struct {
		name           string
		server         PlainServer
		user, password string
		ok             bool
	}{
		{"zero value", PlainServer{}, "ann", "pw", false},
		{"zero value, nothing told", PlainServer{}, "", "", false},
		{"known", PlainServer{Users: users}, "ann", "pw", true},
		{"wrong password", PlainServer{Users: users}, "ann", "pW", false},
		{"longer password", PlainServer{Users: users}, "ann", "pw\x00", false},
		{"no password", PlainServer{Users: users}, "ann", "", false},
		{"unknown", PlainServer{Users: users}, "eve", "", false},
		{"empty password", PlainServer{Users: users}, "nobody", "", true},
		{"check", PlainServer{Check: isBob}, "bob", "bob's", true},
		{"check says no", PlainServer{Check: isBob}, "ann", "pw", false},
		{"either", PlainServer{Users: users, Check: isBob}, "bob", "bob's", true},
		{"longest", PlainServer{Check: func(string, string) bool { return true }}, strings.Repeat("u", 255), strings.Repeat("p", 255), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := &Config{Type: Push, Mechanism: PlainClient{User: test.user, Password: test.password}}
			_, s, errClient, errServer := shake(t, client, &Config{Type: Pull, Mechanism: test.server}, false)
			if test.ok {
				if errClient != nil || errServer != nil || s.Peer().User != test.user {
					t.Errorf("refused: %v, %v", errClient, errServer)
				}
				return
			}
			refused, ok := errors.AsType[*HandshakeError](errClient)
			if !ok || refused.Err != ErrDenied || refused.Reason != "400" {
				t.Errorf("the client got %v", errClient)
			}
			refused, ok = errors.AsType[*HandshakeError](errServer)
			if !ok || refused.Err != ErrDenied || !strings.Contains(refused.Reason, test.user) || test.password != "" && strings.Contains(refused.Reason, test.password) {
				t.Errorf("the server got %v", errServer)
			}
		})
	}
}

func TestPlainFaults(t *testing.T) {
	greeting := string(AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: "PLAIN"}))
	server := PlainServer{Users: map[string]string{"u": "p"}}
	for _, test := range []struct {
		m            Mechanism
		stream, rule string
	}{
		{server, command("\x05HELLO"), rulePlain},
		{server, command("\x05HELLO\x02u"), rulePlain},
		{server, command("\x05HELLO\x01u"), rulePlain},
		{server, command("\x05HELLO\x01u\x02p"), rulePlain},
		{server, command("\x05HELLO\x01u\x01px"), rulePlain},
		{server, command("\x08INITIATE" + rep), ruleHandshake},
		{server, command("\x05HELLO\x01u\x01p") + ready(rep), ruleHandshake},
		{server, command("\x05HELLO\x01u\x01p") + command("\x08INITIATE"), ruleMetadata},
		{PlainClient{}, command("\x07WELCOME."), rulePlain},
		{PlainClient{}, ready(rep), ruleHandshake},
		{PlainClient{}, command("\x07WELCOME") + ready(""), ruleMetadata},
		{PlainClient{}, command("\x05HELLO\x00\x00"), ruleHandshake},
	} {
		_, err := Handshake(play([]byte(greeting+test.stream)), &Config{Type: Req, Mechanism: test.m})
		wantFault(t, err, test.rule)
	}
}

// Why a server refuses is told, in the form of the RFC and in that of libzmq's PLAIN servers.
func TestReasons(t *testing.T) {
	for _, mechanism := range []string{"NULL", "PLAIN", "CURVE"} {
		for _, stream := range []string{command("\x05ERROR\x03why"), command("^RROR\x03why")} {
			peer := play(append(AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: mechanism}), stream...))
			c := &Config{Type: Req}
			for _, m := range mechanisms(t) {
				if m.name == mechanism {
					c.Mechanism = m.client
				}
			}
			_, err := Handshake(peer, c)
			refused, ok := errors.AsType[*HandshakeError](err)
			if !ok || !errors.Is(err, ErrDenied) || refused.Reason != "why" {
				t.Errorf("%s, %q: %v", mechanism, stream, err)
			}
		}
	}
}

func TestCurveKeys(t *testing.T) {
	public, secret, _ := GenerateKeys()
	_, otherSecret, _ := GenerateKeys()
	mine, mySecret, _ := GenerateKeys()
	client := CurveClient{ServerKey: public, PublicKey: mine, SecretKey: mySecret}
	for _, test := range []struct {
		name   string
		client CurveClient
		server CurveServer
		want   error // of the server, ErrDenied; nil: both succeed
		fault  bool  // the server's is a *ProtocolError
	}{
		{name: "anybody", client: client, server: CurveServer{SecretKey: secret}},
		{name: "known", client: client, server: CurveServer{SecretKey: secret, Clients: [][32]byte{{1}, mine}}},
		{name: "allowed", client: client, server: CurveServer{SecretKey: secret, Clients: [][32]byte{}, Allow: func(k [32]byte) bool { return k == mine }}},
		{name: "unknown", client: client, server: CurveServer{SecretKey: secret, Clients: [][32]byte{{1}}}, want: ErrDenied},
		{name: "empty list", client: client, server: CurveServer{SecretKey: secret, Clients: [][32]byte{}}, want: ErrDenied},
		{name: "not allowed", client: client, server: CurveServer{SecretKey: secret, Allow: func([32]byte) bool { return false }}, want: ErrDenied},
		{name: "another server", client: client, server: CurveServer{SecretKey: otherSecret}, fault: true},
		{name: "another's key", client: CurveClient{ServerKey: public, PublicKey: public, SecretKey: mySecret}, server: CurveServer{SecretKey: secret}, fault: true},
		{name: "zero keys", client: CurveClient{ServerKey: public}, server: CurveServer{SecretKey: secret, Clients: [][32]byte{mine}}, fault: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b, errClient, errServer := shake(t, &Config{Type: Push, Mechanism: test.client}, &Config{Type: Pull, Mechanism: test.server}, false)
			switch {
			case test.fault:
				wantFault(t, errServer, ruleCurve)
				if errClient == nil {
					t.Error("the client has a session")
				}
			case test.want != nil:
				if !errors.Is(errServer, test.want) || !errors.Is(errClient, test.want) {
					t.Errorf("the client got %v, the server %v", errClient, errServer)
				}
			case errClient != nil || errServer != nil:
				t.Errorf("the client got %v, the server %v", errClient, errServer)
			case a.Peer().Key != public || b.Peer().Key != mine:
				t.Errorf("keys %x and %x", a.Peer().Key, b.Peer().Key)
			}
		})
	}
}

// curvePair gives two ends that have shaken hands.
func curvePair(t testing.TB) (client, server *Session) {
	t.Helper()
	m := mechanisms(t)[2]
	client, server, errC, errS := shake(t, &Config{Type: Pair, Mechanism: m.client}, &Config{Type: Pair, Mechanism: m.server}, false)
	if errC != nil || errS != nil {
		t.Fatal(errC, errS)
	}
	return client, server
}

// message seals a frame and gives its header and body.
func message(t testing.TB, s *Session, f Flags, text string) (Header, []byte) {
	t.Helper()
	frame := s.Seal(nil, f, []byte(text))
	h, n, err := ParseHeader(frame)
	if err != nil {
		t.Fatal(err)
	}
	return h, frame[n:]
}

// A box is opened once, in order, and not if a bit of it was changed; what was refused leaves the next one good.
func TestCurveMessages(t *testing.T) {
	client, server := curvePair(t)
	h, first := message(t, client, 0, "first")
	if h.Flags != 0 || string(first[:8]) != messageName {
		t.Errorf("flags %v, body %q; want those of libzmq", h.Flags, first)
	}
	for i := range first {
		for bit := range 8 {
			forged := bytes.Clone(first)
			forged[i] ^= 1 << bit
			_, _, err := server.Open(0, forged)
			wantFault(t, err, ruleCurve)
		}
		_, _, err := server.Open(0, bytes.Clone(first[:i]))
		wantFault(t, err, ruleCurve)
	}
	replay := bytes.Clone(first)
	for _, f := range []Flags{0, FlagCommand} { // with the flag as the RFC has it, without as libzmq has
		_, body := message(t, client, FlagMore, "text")
		opened := bytes.Clone(body)
		got, text, err := server.Open(f, opened)
		if got != FlagMore || string(text) != "text" || err != nil {
			t.Fatalf("%v, %q, %v", got, text, err)
		}
		if &text[0] != &opened[0] || cap(text) != len(text) {
			t.Error("the text is not in the body that was given")
		}
		for _, old := range [][]byte{body, replay} {
			_, _, err := server.Open(0, bytes.Clone(old))
			wantFault(t, err, ruleCurve)
		}
	}
	// Each direction has nonces of its own kind: what a client sealed is not taken for a server's.
	_, own := message(t, server, 0, "own")
	_, _, err := server.Open(0, bytes.Clone(own))
	wantFault(t, err, ruleCurve)
	if _, text, err := client.Open(0, own); string(text) != "own" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestCurveNonces(t *testing.T) {
	client, server := curvePair(t)
	var last [2]uint64
	for range 100 {
		for i, s := range []*Session{client, server} {
			_, body := message(t, s, 0, "")
			counter := binary.BigEndian.Uint64(body[8:])
			if counter <= last[i] {
				t.Fatalf("%d after %d", counter, last[i])
			}
			last[i] = counter
		}
	}
	// HELLO and INITIATE have the client's first two, READY the server's.
	if last != [2]uint64{102, 101} {
		t.Errorf("after 100 messages the counters are %v", last)
	}
	client.box.sent = 1<<63 - 1
	_, body := message(t, client, 0, "gap")
	if _, text, err := server.Open(0, body); string(text) != "gap" || err != nil {
		t.Errorf("after a gap: %q, %v", text, err)
	}
}

// The flags in the box, with the keys of a real connection: 1, 2 and nothing else.
func TestCurveBoxedFlags(t *testing.T) {
	for b := range 256 {
		f, ok := unboxedFlags(byte(b))
		if ok != (b <= 2) || ok && boxedFlags(f) != byte(b) {
			t.Errorf("%#x: %v, %v", b, f, ok)
		}
	}
}

func TestCurveAllocations(t *testing.T) {
	client, server := curvePair(t)
	body, frame := make([]byte, 300), make([]byte, 0, 1000)
	n := testing.AllocsPerRun(100, func() {
		frame = client.Seal(frame[:0], 0, body)
		if _, _, err := server.Open(0, frame[MaxHeader:]); err != nil {
			t.Fatal(err)
		}
	})
	if n >= 1 && !raceDetector { // a part of 1 is a collection that emptied the pool of buffers
		t.Errorf("sealing and opening takes memory %v times, want never", n)
	}
}

// A secret is in no text that is made of what holds it.
func TestNoSecretsInText(t *testing.T) {
	_, secret, _ := GenerateKeys()
	for i := range secret {
		secret[i] |= 0x80 // so that it differs from what is zero
	}
	for _, m := range []Mechanism{
		PlainClient{User: "ann", Password: "geheim"},
		PlainServer{Users: map[string]string{"ann": "geheim"}},
		CurveClient{SecretKey: secret},
		CurveServer{SecretKey: secret},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			for _, text := range []string{fmt.Sprintf(verb, m), fmt.Sprintf(verb, Config{Mechanism: m}), fmt.Sprintf(verb, &m)} {
				for _, s := range []string{
					"geheim", EncodeKey(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%x", EncodeKey(secret)), fmt.Sprintf("%v", secret[:8]),
					fmt.Sprintf("%x", "geheim"), fmt.Sprintf("%#v", secret[:4]),
				} {
					if strings.Contains(text, strings.Trim(s, "[]")) {
						t.Errorf("%T with %s: %s", m, verb, text)
					}
				}
			}
		}
		if m.Name() != "PLAIN" && m.Name() != "CURVE" {
			t.Errorf("%T is %s", m, m.Name())
		}
	}
}
