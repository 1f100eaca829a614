package zmtp

import (
	"net"
	"testing"
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

// shake does the handshakes of both ends.
func shake(t testing.TB, a, b *Config) (sa, sb *Session, errA, errB error) {
	t.Helper()
	ca, cb := ends(t)
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

func TestHandshakeMechanisms(t *testing.T) {
	serverPublic, serverSecret, _ := GenerateKeys()
	clientPublic, clientSecret, _ := GenerateKeys()
	for _, test := range []struct{ client, server Mechanism }{
		{nil, nil},
		{PlainClient{"ann", "secret"}, PlainServer{Users: map[string]string{"ann": "secret"}}},
		{
			CurveClient{ServerKey: serverPublic, PublicKey: clientPublic, SecretKey: clientSecret},
			CurveServer{SecretKey: serverSecret, Clients: [][32]byte{clientPublic}},
		},
	} {
		sa, sb, errA, errB := shake(t, &Config{Type: Req, Identity: []byte("me"), Mechanism: test.client}, &Config{Type: Router, Mechanism: test.server})
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for i := range 3 {
			frame := sa.Seal(nil, FlagMore, []byte("hello"))
			h, n, err := ParseHeader(frame)
			if err != nil || int(h.Length) != len(frame)-n {
				t.Fatal(h, n, err)
			}
			f, body, err := sb.Open(h.Flags, frame[n:])
			if f != FlagMore || string(body) != "hello" || err != nil {
				t.Fatal(i, f, body, err)
			}
		}
	}
}
