package zmtp

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// seedFrames gives the frames that the recordings hold, whole, to add.
func seedFrames(f *testing.F, add func(h Header, frame, body []byte)) {
	f.Helper()
	for name, stream := range captures(f) {
		b := stream[GreetingSize*min(1, len(stream)/GreetingSize):]
		if strings.HasPrefix(name, "zmtp2") {
			b = stream[12:]
		}
		for len(b) > 0 {
			h, n, err := ParseHeader(b)
			if err != nil || n == 0 {
				f.Fatalf("%s: %d, %v", name, n, err)
			}
			end := n + int(h.Length)
			add(h, b[:end], b[n:end])
			b = b[end:]
		}
	}
}

func FuzzHeader(f *testing.F) {
	seedFrames(f, func(_ Header, frame, _ []byte) { f.Add(frame[:min(len(frame), 20)]) })
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b)
		switch {
		case err != nil:
			wantFault(t, err, ruleFraming)
			return
		case n == 0:
			if len(b) >= MaxHeader {
				t.Fatalf("%d bytes are not enough", len(b))
			}
			return
		}
		if h.Length > 1<<63-1 || h.Flags&FlagLong != 0 != (n == MaxHeader) {
			t.Fatalf("%+v of %d bytes", h, n)
		}
		again, _, err := ParseHeader(AppendHeader(nil, h.Flags, int(h.Length)))
		if err != nil || again.Length != h.Length || (again.Flags^h.Flags)&^FlagLong != 0 {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
		for cut := range n {
			if _, n, err := ParseHeader(b[:cut]); n != 0 || err != nil {
				t.Fatalf("cut at %d: %d, %v", cut, n, err)
			}
		}
	})
}

func FuzzCommand(f *testing.F) {
	seedFrames(f, func(h Header, _, body []byte) {
		if h.Flags&FlagCommand != 0 {
			f.Add(body)
		}
	})
	f.Add(AppendError(nil, "why"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCommand(body)
		if err != nil {
			wantFault(t, err, ruleCommand)
			return
		}
		if again := AppendCommand(nil, c.Name, c.Data); !bytes.Equal(again, body) {
			t.Fatalf("%q became %q", body, again)
		}
		var again []byte
		switch c.Name {
		case CommandPing:
			// A longer time to live than is ever sent does not come back.
			if ttl, context, err := ParsePing(c.Data); err == nil && ttl <= 65500e6 {
				again = AppendPing(nil, ttl, context)
			}
		case CommandPong:
			if context, err := ParsePong(c.Data); err == nil {
				again = AppendPong(nil, context)
			}
		case CommandError:
			if reason, err := ParseError(c.Data); err == nil {
				again = AppendError(nil, reason)
			}
		case CommandReady:
			if properties, err := ParseReady(c.Data); err == nil {
				again = AppendReady(nil, properties)
			}
		case CommandSubscribe, CommandCancel:
			s, ok := ParseSubscription(FlagCommand, body)
			if !ok {
				t.Fatalf("%q is no subscription", body)
			}
			if again = AppendSubscribe(nil, s.Topic); s.Cancel {
				again = AppendCancel(nil, s.Topic)
			}
		}
		if again != nil && !bytes.Equal(again, body) {
			t.Fatalf("%q became %q", body, again)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	seedFrames(f, func(_ Header, _, body []byte) {
		for _, name := range []string{"\x05READY", "\x08INITIATE"} {
			if data, ok := bytes.CutPrefix(body, []byte(name)); ok {
				f.Add(data)
			}
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		properties, err := ParseMetadata(data)
		if err != nil {
			wantFault(t, err, ruleMetadata)
			return
		}
		if again := AppendMetadata(nil, properties); !bytes.Equal(again, data) {
			t.Fatalf("%q became %q", data, again)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	for _, stream := range captures(f) {
		f.Add(stream[:min(len(stream), GreetingSize)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGreeting(b)
		if err != nil {
			wantFault(t, err, ruleGreeting)
			return
		}
		if again, err := ParseGreeting(AppendGreeting(nil, g)); again != g || err != nil {
			t.Fatalf("%+v became %+v, %v", g, again, err)
		}
	})
}

func FuzzZ85(f *testing.F) {
	f.Add("HelloWorld")
	f.Add(EncodeKey(readKey(f, "server")))
	f.Fuzz(func(t *testing.T, text string) {
		b, err := DecodeZ85(text)
		if err != nil {
			return
		}
		if again, err := EncodeZ85(b); again != text || err != nil {
			t.Fatalf("%q became %q, %v", text, again, err)
		}
	})
}

// FuzzHandshake is a peer that sends anything: there is an error or a session
// of a legal kind, little memory is taken, and nothing is read past the end.
func FuzzHandshake(f *testing.F) {
	for name, stream := range captures(f) {
		c, mechanism := captured(f, name), byte(0)
		switch c.Mechanism.(type) {
		case PlainClient:
			mechanism = 1
		case PlainServer:
			mechanism = 2
		case CurveClient:
			mechanism = 3
		case CurveServer:
			mechanism = 4
		}
		f.Add(byte(c.Type), mechanism, stream)
		if strings.HasPrefix(name, "zmtp2") {
			stream = bytes.Clone(stream)
			stream[majorAt] = 1
			f.Add(byte(c.Type), mechanism, stream)
		}
	}
	known := mechanisms(f)
	f.Fuzz(func(t *testing.T, socketType, mechanism byte, stream []byte) {
		m := known[(mechanism+1)/2%3]
		c := &Config{Type: SocketType(socketType % 11), Mechanism: m.client}
		if mechanism%2 == 0 {
			c.Mechanism = m.server
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		peer := play(stream)
		s, err := Handshake(peer, c)
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10); used > most {
			t.Errorf("%d bytes of stream took %d bytes of memory", len(stream), used)
		}
		if err != nil {
			_, fault := errors.AsType[*ProtocolError](err)
			_, refused := errors.AsType[*HandshakeError](err)
			if !fault && !refused && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if p := s.Peer(); !c.Type.Accepts(p.Type) || p.Mechanism != m.name || len(p.Identity) > 255 {
			t.Fatalf("peer %+v", p)
		}
		rest, _ := io.ReadAll(peer)
		if s, err := Handshake(play(stream[:len(stream)-len(rest)]), c); s == nil || err != nil {
			t.Fatalf("without what was not read: %v", err)
		}
	})
}

// FuzzOpen is a frame on a connection with CURVE, whose keys the peer doesn't have.
func FuzzOpen(f *testing.F) {
	seedFrames(f, func(h Header, _, body []byte) { f.Add(byte(h.Flags), body) })
	f.Fuzz(func(t *testing.T, flags byte, body []byte) {
		var public, secret [32]byte
		s := &Session{box: newCurveBox(&public, &secret, nonceClientMessage, 2, nonceServerMessage, 1)}
		_, _, err := s.Open(Flags(flags), bytes.Clone(body))
		wantFault(t, err, ruleCurve)

		peer := &Session{box: newCurveBox(&public, &secret, nonceServerMessage, 1, nonceClientMessage, 2)}
		want := Flags(flags) & (FlagMore | FlagCommand)
		if want == FlagMore|FlagCommand {
			want = FlagMore
		}
		frame := s.Seal(nil, want, body)
		h, n, err := ParseHeader(frame)
		if err != nil || int(h.Length) != len(frame)-n {
			t.Fatalf("%+v, %v", h, err)
		}
		if got, text, err := peer.Open(h.Flags, frame[n:]); got != want || !bytes.Equal(text, body) || err != nil {
			t.Fatalf("%v, %q, %v; want %v, %q", got, text, err, want, body)
		}
	})
}
