package tincan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
)

// faultyTLS gives what dials and listens TLS over a tcp with faults.
func faultyTLS(a *authority, dialled, accepted tincantest.Faults) (*tincan.Dialer, *tincan.ListenConfig) {
	transport := &tincantest.FaultyTransport{Dialled: tincantest.Always(dialled), Accepted: tincantest.Always(accepted)}
	config := tincan.Config{Transports: map[string]tincan.Transport{"tcp": transport}}
	d, lc := &tincan.Dialer{Config: config}, &tincan.ListenConfig{Config: config}
	d.Options = tincan.Options{CA: a.ca, ServerName: "localhost"}
	return d, lc
}

// sent is what the receiver of a TLS exchange got, and how that ended.
type sent struct {
	msg string
	err error
}

// sendTLS has one side send msg and half-close, and gives what the other received.
func sendTLS(t *testing.T, d *tincan.Dialer, l *tincan.Listener, clientSends bool, msg string) sent {
	t.Helper()
	receive := func(c net.Conn) sent {
		b, err := io.ReadAll(c)
		return sent{string(b), err}
	}
	send := func(c net.Conn) sent {
		_, err := io.WriteString(c, msg)
		if err == nil {
			err = tincan.CloseWrite(c)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, c)
		}
		return sent{err: err}
	}
	client, server := receive, send
	if clientSends {
		client, server = send, receive
	}
	served := make(chan sent, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- sent{err: err}
			return
		}
		s := server(c)
		_ = c.Close()
		served <- s
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got sent
	c, err := d.Dial(ctx, l.Addr().String())
	if err != nil {
		got.err = err
	} else {
		got = client(c)
		_ = c.Close()
	}
	fromServer := <-served
	if clientSends {
		return fromServer
	}
	return got
}

func TestTLSOverSlowPieces(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue("localhost", time.Now().Add(time.Hour))
	for name, flow := range map[string]tincantest.Flow{
		"a byte at a time": {Piece: 1}, "ragged and late": {Piece: 3000, Ragged: true, Jitter: 200 * time.Microsecond},
	} {
		for _, clientSends := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", the client sends: ", clientSends), func(t *testing.T) {
				faults := tincantest.Faults{Seed: 11, Read: flow, Write: flow}
				d, lc := faultyTLS(a, faults, faults)
				l, err := lc.Listen(t.Context(), "tls://127.0.0.1:0?"+cert)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				want := string(make([]byte, 50_000))
				if got := sendTLS(t, d, l, clientSends, want); got.msg != want || got.err != nil {
					t.Errorf("%d bytes, %v; want %d", len(got.msg), got.err, len(want))
				}
			})
		}
	}
}

// A TLS connection that is cut or reset at any byte, from the first of the
// handshake, is never taken for one that ended in order, and gives no part of a record.
func TestTLSBrokenAnywhere(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue("localhost", time.Now().Add(time.Hour))
	const msg = "a message that is one record"
	for _, end := range []tincantest.End{tincantest.Cut, tincantest.Reset} {
		for _, clientSends := range []bool{true, false} {
			t.Run(fmt.Sprint("end ", end, ", the client sends: ", clientSends), func(t *testing.T) {
				at := int64(0)
				broken := func(int) tincantest.Faults {
					return tincantest.Faults{Write: tincantest.Flow{End: end, At: at}}
				}
				d, lc := faultyTLS(a, tincantest.Faults{}, tincantest.Faults{})
				transport := &tincantest.FaultyTransport{Accepted: broken}
				lc.Transports["tcp"] = transport
				if clientSends {
					transport = &tincantest.FaultyTransport{Dialled: broken}
					lc.Transports, d.Transports = nil, map[string]tincan.Transport{"tcp": transport}
				}
				l, err := lc.Listen(t.Context(), "tls://127.0.0.1:0?"+cert)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				// Each byte of the handshake would take long, so only each seventh; behind the message each one.
				for arrived := int64(0); ; {
					got := sendTLS(t, d, l, clientSends, msg)
					if got.msg == msg && arrived == 0 {
						arrived = at
					}
					switch kind := tincan.KindOf(got.err); {
					case got.msg == msg && got.err == nil:
						if at-arrived < closeNotify-10 {
							t.Errorf("an orderly end %d bytes behind the message, which close_notify does not fit into", at-arrived)
						}
						return
					case got.err == nil, got.msg != "" && got.msg != msg:
						t.Fatalf("broken at byte %d: %q and %v", at, got.msg, got.err)
					case kind != tincan.KindReset && !isHandshake(got.err):
						t.Fatalf("broken at byte %d: %v of kind %v", at, got.err, kind)
					case at > 10_000:
						t.Fatal("the exchange has no end")
					}
					if at++; arrived == 0 {
						at += 6
					}
				}
			})
		}
	}
}

// closeNotify is the length of its record in TLS 1.3. A handshake's own varies by a few bytes.
const closeNotify = 24

func isHandshake(err error) bool {
	var h *tincan.HandshakeError
	return errors.As(err, &h)
}

// A byte that went wrong on the way is noticed, whichever it is.
func TestTLSFlippedByte(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue("localhost", time.Now().Add(time.Hour))
	at := int64(0)
	d, lc := faultyTLS(a, tincantest.Faults{}, tincantest.Faults{})
	d.Transports = map[string]tincan.Transport{"tcp": &tincantest.FaultyTransport{Dialled: func(int) tincantest.Faults {
		return tincantest.Faults{Write: tincantest.Flow{Flip: 0x10, FlipAt: at}}
	}}}
	lc.Transports = nil
	l, err := lc.Listen(t.Context(), "tls://127.0.0.1:0?handshake-timeout=1s&"+cert)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for ; at < 3000; at += 97 {
		if got := sendTLS(t, d, l, true, "hello"); got.err == nil && got.msg != "hello" || got.msg != "" && got.msg != "hello" {
			t.Errorf("byte %d: %q, %v", at, got.msg, got.err)
		}
	}
}
