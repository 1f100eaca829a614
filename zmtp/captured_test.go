package zmtp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// captured is the handshake that a recording asks for: the one of the peer that it was sent to.
func captured(t testing.TB, name string) *Config {
	t.Helper()
	fields := strings.Split(name, "-")
	ours, ok := ParseSocketType(strings.ToUpper(fields[2]))
	if !ok { // denied, denies
		ours = map[string]SocketType{"push": Pull, "pull": Push}[fields[1]]
	}
	c := &Config{Type: ours}
	client := strings.Contains("req dealer sub xsub push", fields[1]) || name == "plain-pair-pair" || name == "curve-pair-pair"
	var server, own [32]byte
	if fields[0] == "curve" {
		server, own = readKey(t, "server"), readKey(t, "client")
	}
	switch {
	case fields[0] == "plain" && client:
		c.Mechanism = PlainServer{Users: map[string]string{"user": "pass"}}
	case fields[0] == "plain":
		c.Mechanism = PlainClient{User: "user", Password: "pass"}
	case fields[0] == "curve" && client:
		c.Mechanism = CurveServer{SecretKey: server}
	case fields[0] == "curve":
		c.Mechanism = CurveClient{ServerKey: PublicKey(server), PublicKey: PublicKey(own), SecretKey: own}
	}
	return c
}

// A frame as it is read, its body opened.
type opened struct {
	f    Flags
	body string
}

// readFrames reads frames until r ends.
func readFrames(t testing.TB, s *Session, r io.Reader) (all []opened) {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		h, n, err := ParseHeader(b)
		if err != nil || n == 0 || uint64(len(b)-n) < h.Length {
			t.Fatalf("a frame of %d bytes in %d: %v", h.Length, len(b)-n, err)
		}
		end := n + int(h.Length)
		f, body, err := s.Open(h.Flags, bytes.Clone(b[n:end]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, opened{f, string(body)})
		b = b[end:]
	}
	return all
}

// What real peers sent leads through the handshake, and all frames that follow are understood, however the stream is cut.
// With CURVE a recording can't be answered, as each end makes new keys: see TestCapturedCurve.
func TestCaptured(t *testing.T) {
	for name, stream := range captures(t) {
		if strings.HasPrefix(name, "curve") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := captured(t, name)
			if strings.HasPrefix(name, "zmtp2") {
				stream[majorAt] = 1 // libzmq 4 says 3 before it goes down; libzmq 3.2 says this and then the same
			}
			peer := play(stream)
			s, err := Handshake(peer, c)
			if strings.Contains(name, "-den") {
				if !errors.Is(err, ErrDenied) {
					t.Fatalf("got %v, want ErrDenied", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p, wantVersion := s.Peer(), [2]byte{3, 1}
			if strings.HasPrefix(name, "zmtp2") {
				wantVersion = [2]byte{2, 0}
			}
			if version := [2]byte{p.Major, p.Minor}; version != wantVersion || !strings.EqualFold(p.Type.String(), strings.Split(name, "-")[1]) {
				t.Errorf("peer %d.%d %v", p.Major, p.Minor, p.Type)
			}
			if c.Mechanism != nil && c.Mechanism.asServer() && p.User != "user" {
				t.Errorf("user %q", p.User)
			}
			wantIdentity := map[string]string{"req": "me", "dealer": "me"}[strings.Split(name, "-")[1]]
			if strings.HasSuffix(name, "jeromq") {
				wantIdentity = "java"
			}
			if string(p.Identity) != wantIdentity {
				t.Errorf("identity %q, want %q", p.Identity, wantIdentity)
			}

			want := readFrames(t, s, peer)
			checkFrames(t, name, want)
			for chop, reader := range map[string]io.Reader{
				"one byte": iotest.OneByteReader(bytes.NewReader(stream)),
				"half":     iotest.HalfReader(bytes.NewReader(stream)),
				"data err": iotest.DataErrReader(bytes.NewReader(stream)),
			} {
				s, err := Handshake(&recording{Reader: reader}, c)
				if err != nil {
					t.Fatalf("%s: %v", chop, err)
				}
				if got := readFrames(t, s, reader); len(got) != len(want) {
					t.Errorf("%s: %d frames, want %d", chop, len(got), len(want))
				}
			}
			for cut := range stream {
				r := bytes.NewReader(stream[:cut])
				if _, err := Handshake(&recording{Reader: r}, c); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
			}
		})
	}
}

// checkFrames looks at the frames of a recording: commands that can be parsed, and what its type sends.
func checkFrames(t *testing.T, name string, frames []opened) {
	t.Helper()
	pings, topics := 0, 0
	for _, frame := range frames {
		if s, ok := ParseSubscription(frame.f, []byte(frame.body)); ok && string(s.Topic) == "news" {
			topics++
		}
		if frame.f&FlagCommand == 0 {
			continue
		}
		c, err := ParseCommand([]byte(frame.body))
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case CommandPing:
			if _, _, err := ParsePing(c.Data); err != nil {
				t.Fatal(err)
			}
			pings++
		case CommandPong, CommandSubscribe, CommandCancel:
		default:
			t.Errorf("the command %q", c.Name)
		}
	}
	if zmtp2 := strings.HasPrefix(name, "zmtp2"); zmtp2 != (pings == 0) {
		t.Errorf("%d PINGs", pings)
	} else if !zmtp2 && strings.Contains(name, "sub-") && !strings.Contains(name, "pub-") && topics != 2 {
		t.Errorf("%d subscriptions and cancellations of news, want 2", topics)
	}
}

// A real client's HELLO opens with the key of the server it was recorded with, and with no other.
func TestCapturedCurve(t *testing.T) {
	n := 0
	for name, stream := range captures(t) {
		c := captured(t, name)
		m, ok := c.Mechanism.(CurveServer)
		if !ok {
			continue
		}
		n++
		peer := play(stream)
		_, err := Handshake(peer, c)
		// It is INITIATE's: this server has made another cookie.
		if got := wantFault(t, err, ruleCurve); got != GreetingSize+202 {
			t.Errorf("%s: the fault is at byte %d", name, got)
		}
		if got, want := peer.sent.Len(), GreetingSize+2+168; got != want {
			t.Errorf("%s: %d bytes were sent, want a greeting and WELCOME, %d", name, got, want)
		}
		_, m.SecretKey, _ = GenerateKeys()
		peer = play(stream)
		_, err = Handshake(peer, &Config{Type: c.Type, Mechanism: m})
		wantFault(t, err, ruleCurve)
		if peer.sent.Len() != GreetingSize {
			t.Errorf("%s: a client with another server's key was answered", name)
		}
	}
	if n != 7 {
		t.Errorf("%d recordings of clients, want 7", n)
	}
}
