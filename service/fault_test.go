package service_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/tincantest"
	"github.com/tincan-ipc/tincan/ws"
)

// serveFaulty serves a stream service in process, over connections with
// faults at the server's side, and gives a dialler of it. It is for use in a bubble.
func serveFaulty(t *testing.T, name string, f tincantest.Faults, s *service.Server) (dial func() net.Conn) {
	t.Helper()
	return serveFaultyStream(t, lookup(t, name).Stream, f, s)
}

func serveFaultyStream(t *testing.T, h service.StreamHandler, f tincantest.Faults, s *service.Server) (dial func() net.Conn) {
	t.Helper()
	lc := &tincan.ListenConfig{Config: tincan.Config{Transports: map[string]tincan.Transport{
		"mem": &tincantest.FaultyTransport{Accepted: tincantest.Always(f)},
	}}}
	l, err := lc.Listen(t.Context(), "mem:service-faults")
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) error { return s.Serve(ctx, l, h) })
	return func() net.Conn {
		c, err := tincan.Dial(t.Context(), "mem:service-faults")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// The services answer the same however the bytes are cut and delayed.
func TestServicesOverSlowPieces(t *testing.T) {
	request := strings.Repeat("every byte counts; ", 300)
	for _, tt := range []struct{ name, request, want string }{
		{"echo", request, request},
		{"increment", "A" + strings.Repeat("\xff\x00", 1000), "B" + strings.Repeat("\x00\x01", 1000)},
		{"discard", request, ""},
		{"hello", "GET / HTTP/1.0\r\n\r\n", "You Connected to the Server!"},
	} {
		for name, flow := range map[string]tincantest.Flow{
			"a byte at a time": {Piece: 1}, "ragged and late": {Piece: 100, Ragged: true, Jitter: time.Second},
		} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					faults := tincantest.Faults{Seed: 3, Read: flow, Write: flow}
					faults.Write.Jitter = 0 // net/http holds a mutex while it writes
					if tt.name == "hello" {
						faults.Read.Jitter = 0 // it has a deadline, which is not what is tested here
					}
					got := exchange(t, serveFaulty(t, tt.name, faults, nil)(), tt.request)
					if tt.name == "hello" && strings.Contains(got, tt.want) {
						got = tt.want
					}
					if got != tt.want {
						t.Errorf("%d bytes came back, want %d", len(got), len(tt.want))
					}
				})
			})
		}
	}
}

// Where the request ends or breaks, an echo has given what came before it and tells the end as what it was.
func TestEchoBrokenAtEveryByte(t *testing.T) {
	const request = "this is a test"
	for at := range len(request) + 1 {
		for _, end := range []tincantest.End{tincantest.HalfClose, tincantest.Cut, tincantest.Reset} {
			synctest.Test(t, func(t *testing.T) {
				trace, closings := traced()
				faults := tincantest.Faults{Read: tincantest.Flow{Piece: 1, End: end, At: int64(at)}}
				written := make(chan struct{}) // the end at byte 0 could be earlier, and fail the write
				echo := lookup(t, "echo").Stream
				c := serveFaultyStream(t, func(ctx context.Context, conn net.Conn) error {
					<-written
					return echo(ctx, conn)
				}, faults, &service.Server{Trace: trace})()
				_, err := io.WriteString(c, request+"!")
				close(written)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(c)
				closed := closings.next(t)
				switch {
				case end == tincantest.HalfClose && (string(got) != request[:at] || closed.err != nil || closed.received != int64(at)):
					t.Errorf("half-closed at byte %d: %q, %v; the server: %+v", at, got, err, closed)
				case end != tincantest.HalfClose && (tincan.KindOf(err) != tincan.KindReset || tincan.KindOf(closed.err) != tincan.KindReset):
					// Something of the request is unread, so a cut is a reset too.
					t.Errorf("end %d at byte %d: %v; the server: %+v", end, at, err, closed)
				case !strings.HasPrefix(request, string(got)):
					t.Errorf("end %d at byte %d: %q came back", end, at, got)
				}
			})
		}
	}
}

// The calculator's client gets its answer through a network that loses a third
// of what is sent either way, doubles and delays it.
func TestCalcOverLossyMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := lookup(t, "calc").Message(tincan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		url, _ := serveMessages(t, nil, "mem:lossy-calc", h)
		flow := tincantest.MessageFlow{Drop: 0.3, Duplicate: 0.2, Reorder: 0.1, Delay: 20 * time.Millisecond, Jitter: 100 * time.Millisecond}
		transport := &tincantest.FaultyMessageTransport{
			Dialled: func(n int) tincantest.MessageFaults {
				return tincantest.MessageFaults{Seed: uint64(n), Read: flow, Write: flow}
			},
		}
		d := &tincan.Dialer{Config: tincan.Config{MessageTransports: map[string]tincan.MessageTransport{"mem": transport}}}
		start := time.Now()
		for i := range 100 { // each on a connection of its own, as Calc's comment says
			c, err := d.DialMessage(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			ints := []uint32{uint32(i), 2, 3}
			got, err := service.Calc(t.Context(), c, service.CalcRequest{Ints: ints}, &service.CalcOptions{Tries: 50})
			if want := fmt.Sprint(i + 5); got != want || err != nil {
				t.Errorf("%d: %q, %v; want %q", i, got, err, want)
			}
			_ = c.Close()
		}
		if took := time.Since(start); took < 30*time.Second {
			t.Errorf("only %v passed: nothing was lost", took)
		}
	})
}

// A layer is what has a greeting that can be slow or wrong.
type layer struct {
	name, endpoint, below string
	greeting              []byte
}

// layers gives the layers over TCP, which is in process, and what dials and listens.
func layers(t *testing.T) (all []layer, d *tincan.Dialer, lc *tincan.ListenConfig) {
	t.Helper()
	cert, pool := certificate(t)
	config := tincan.Config{Transports: map[string]tincan.Transport{"tcp": tincantest.OverMem{}}}
	ws.AddTo(&config)
	d, lc = &tincan.Dialer{Config: config}, &tincan.ListenConfig{Config: config}
	d.TLS = &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13}
	lc.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	hello := clientHello(d.TLS)
	upgrade := []byte("GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	return []layer{
		{"tls", "tls://localhost:443", "tcp://localhost:443", hello},
		{"ws", "ws://localhost:80/x", "tcp://localhost:80", upgrade},
		{"wss", "wss://localhost:443/x", "tcp://localhost:443", hello},
	}, d, lc
}

// certificate makes one for localhost, valid also in the year 2000, where bubbles are.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// clientHello gives the first flight of a TLS client.
func clientHello(config *tls.Config) []byte {
	c := &recorder{}
	_ = tls.Client(c, config).Handshake() // has nobody to talk to
	return c.sent.Bytes()
}

type recorder struct {
	net.Conn
	sent bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) { return r.sent.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }

// hosted runs an echo at the layer inside a bubble and gives what its trace tells.
func hosted(t *testing.T, lc *tincan.ListenConfig, endpoint string) *closings {
	t.Helper()
	l, err := lc.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	trace, closings := traced()
	running(t, func(ctx context.Context) error {
		return (&service.Server{Trace: trace}).Serve(ctx, l, lookup(t, "echo").Stream)
	})
	return closings
}

// dropBy is when the handshake's deadline has passed and the goodbye after it is over.
const dropBy = tincan.DefaultHandshakeTimeout + 2*time.Second

// A thousand peers that send their greeting a byte a second are all dropped by
// the handshake's deadline, and meanwhile an honest client waits for none of them.
func TestSlowGreetings(t *testing.T) {
	const slow, honest = 1000, 10
	all, d, lc := layers(t)
	for _, layer := range all {
		t.Run(layer.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closings := hosted(t, lc, layer.endpoint)
				start := time.Now()
				var wg sync.WaitGroup
				for range slow {
					raw, err := d.Dial(t.Context(), layer.below)
					if err != nil {
						t.Fatal(err)
					}
					c := tincantest.WrapFaulty(raw, tincantest.Faults{Write: tincantest.Flow{Rate: 1}})
					wg.Go(func() {
						if n, err := c.Write(layer.greeting); err == nil || n > int(dropBy/time.Second)+1 {
							t.Errorf("the server took %d bytes of a slow greeting, %v", n, err)
						}
					})
					wg.Go(func() {
						_, _ = io.Copy(io.Discard, c)
						if took := time.Since(start); took < tincan.DefaultHandshakeTimeout || took > dropBy {
							t.Errorf("a slow peer was dropped after %v", took)
						}
						_ = c.Close()
					})
				}
				time.Sleep(5 * time.Second) // the bubble's: all of them are in the middle
				for range honest {
					asked := time.Now()
					c, err := d.Dial(t.Context(), layer.endpoint)
					if err != nil {
						t.Fatal(err)
					}
					got := make([]byte, 5)
					_, _ = io.WriteString(c, "hello")
					if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
						t.Errorf("an honest client: %q, %v", got, err)
					}
					if took := time.Since(asked); took != 0 {
						t.Errorf("an honest client waited %v", took)
					}
					if tincan.CloseWrite(c) == nil { // where there is none, Close says it
						_, _ = io.Copy(io.Discard, c)
					}
					_ = c.Close()
				}
				wg.Wait()
				late := 0
				for range slow + honest {
					if closed := closings.next(t); tincan.KindOf(closed.err) == tincan.KindTimeout {
						late++
					} else if closed.err != nil {
						t.Errorf("a connection ended by %v", closed.err)
					}
				}
				if late != slow {
					t.Errorf("%d connections timed out, want %d", late, slow)
				}
			})
		})
	}
}

// The same for HTTP, whose greeting is a request.
func TestSlowRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := serveFaulty(t, "hello", tincantest.Faults{}, nil)
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			c := tincantest.WrapFaulty(dial(), tincantest.Faults{Write: tincantest.Flow{Rate: 1}})
			wg.Go(func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") })
			wg.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				if took := time.Since(start); took > 12*time.Second {
					t.Errorf("a slow peer was dropped after %v", took)
				}
			})
		}
		time.Sleep(5 * time.Second)
		asked := time.Now()
		c := dial()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK || time.Since(asked) != 0 {
			t.Errorf("an honest client: %v after %v", err, time.Since(asked))
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		wg.Wait()
	})
}

// mutate gives b with a few faults of every sort.
func mutate(r *mathrand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		i := r.IntN(len(b))
		switch r.IntN(5) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			b[i] = byte(r.Uint32())
		case 2:
			b = append(b[:i:i], b[min(len(b), i+1+r.IntN(20)):]...)
		case 3:
			piece := b[i:min(len(b), i+r.IntN(2000))]
			b = append(b[:i:i], append(bytes.Repeat(piece, 1+r.IntN(20)), b[i:]...)...)
		case 4:
			b = b[:i]
		}
		if len(b) == 0 {
			return []byte{byte(r.Uint32())}
		}
	}
	return b
}

// Greetings with faults do no more than end their own connection, by the handshake's deadline at the latest.
func TestMutatedGreetings(t *testing.T) {
	const count = 500
	all, d, lc := layers(t)
	for _, layer := range all {
		t.Run(layer.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closings := hosted(t, lc, layer.endpoint)
				r := mathrand.New(mathrand.NewPCG(1, 2))
				var wg sync.WaitGroup
				for range count {
					greeting := mutate(r, layer.greeting)
					c, err := d.Dial(t.Context(), layer.below)
					if err != nil {
						t.Fatal(err)
					}
					wg.Go(func() {
						defer c.Close()
						_ = c.SetDeadline(time.Now().Add(dropBy))
						var writing sync.WaitGroup
						writing.Go(func() { _, _ = c.Write(greeting) })
						answer, err := io.ReadAll(c)
						writing.Wait()
						if tincan.KindOf(err) == tincan.KindTimeout && !bytes.Contains(answer, []byte("101 Switching")) {
							t.Errorf("%q was neither taken nor ended; the answer was %q", greeting, answer)
						}
					})
				}
				wg.Wait()
				for range count {
					var panicked *service.PanicError
					if closed := closings.next(t); errors.As(closed.err, &panicked) {
						t.Errorf("%v\n%s", panicked, panicked.Stack)
					}
				}
				c, err := d.Dial(t.Context(), layer.endpoint)
				if err != nil {
					t.Fatalf("an honest client afterwards: %v", err)
				}
				_ = c.Close()
				_ = closings.next(t)
			})
		})
	}
}
