package zmtp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestGreeting(t *testing.T) {
	for _, want := range []Greeting{
		{Major: 3, Minor: 1, Mechanism: "NULL"},
		{Major: 3, Minor: 0, Mechanism: "CURVE", AsServer: true},
		{Major: 255, Minor: 255, Mechanism: "ABCDEFGHIJ-_.+0123.9"},
	} {
		b := AppendGreeting(nil, want)
		if len(b) != GreetingSize {
			t.Fatalf("%d bytes", len(b))
		}
		// What padding and filler hold doesn't matter.
		copy(b[1:9], "whatever")
		copy(b[33:], "whatever")
		if got, err := ParseGreeting(b); got != want || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestGreetingFaults(t *testing.T) {
	valid := AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: "NULL"})
	for name, change := range map[string]func(b []byte) []byte{
		"first byte":         func(b []byte) []byte { b[0] = 0; return b },
		"end of signature":   func(b []byte) []byte { b[9] = 0x7D; return b },
		"ZMTP 1.0":           func(b []byte) []byte { b[9] = 0x7E; return b },
		"revision 0":         func(b []byte) []byte { b[10] = 0; return b },
		"ZMTP 2.0":           func(b []byte) []byte { b[10] = 1; return b },
		"no mechanism":       func(b []byte) []byte { b[12] = 0; return b },
		"lower case":         func(b []byte) []byte { b[12] = 'n'; return b },
		"space":              func(b []byte) []byte { b[12] = ' '; return b },
		"NUL in the middle":  func(b []byte) []byte { b[13] = 0; return b },
		"byte after padding": func(b []byte) []byte { b[31] = 'x'; return b },
		"cut":                func(b []byte) []byte { return b[:63] },
		"empty":              func(b []byte) []byte { return nil },
		"long":               func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseGreeting(change(bytes.Clone(valid)))
			wantFault(t, err, ruleGreeting)
		})
	}
}

// No change of a greeting makes a handshake panic or read more than there is.
func TestMutatedGreetings(t *testing.T) {
	valid := append(AppendGreeting(nil, Greeting{Major: 3, Minor: 1, Mechanism: "NULL"}),
		AppendFrame(nil, FlagCommand, AppendReady(nil, (&Config{Type: Rep}).properties()))...)
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(valid)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			switch at := rapid.IntRange(0, len(b)-1).Draw(t, "at"); rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				b[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				if len(b) == 1 {
					return // nothing would be left
				}
				b = append(b[:at:at], b[at+1:]...)
			case 2:
				b = b[:at+1]
			}
		}
		s, err := Handshake(play(b), &Config{Type: Req})
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if s != nil && !Req.Accepts(s.Peer().Type) {
			t.Fatalf("accepted a %v", s.Peer().Type)
		}
	})
}

func TestSocketTypes(t *testing.T) {
	legal := map[SocketType][]SocketType{
		Req: {Rep, Router}, Rep: {Req, Dealer}, Dealer: {Rep, Dealer, Router}, Router: {Req, Dealer, Router},
		Pub: {Sub, XSub}, XPub: {Sub, XSub}, Sub: {Pub, XPub}, XSub: {Pub, XPub},
		Push: {Pull}, Pull: {Push}, Pair: {Pair},
	}
	for a := range SocketType(13) {
		parsed, ok := ParseSocketType(a.String())
		if ok != (a <= XSub) || ok && parsed != a {
			t.Errorf("%d: %q is parsed as %d, %v", a, a, parsed, ok)
		}
		for b := range SocketType(255) {
			want := bytes.IndexByte(bytesOf(legal[a]), byte(b)) >= 0
			if got := a.Accepts(b); got != want || b.Accepts(a) != want {
				t.Errorf("%v and %v: %v and %v, want %v", a, b, got, b.Accepts(a), want)
			}
		}
	}
	for _, name := range []string{"", "req", "CLIENT", "REQ\x00"} {
		if _, ok := ParseSocketType(name); ok {
			t.Errorf("%q is a type", name)
		}
	}
}

func bytesOf(types []SocketType) (b []byte) {
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}
