package tincan_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
)

// authority makes certificates for tests, in a folder of its own.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	ca   string // file
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.ca = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// issue makes a certificate for host that ends at notAfter, as the query "cert=…&key=…".
func (a *authority) issue(host string, notAfter time.Time) string {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return "cert=" + a.write(host+".pem", "CERTIFICATE", der) + "&key=" + a.write(host+"-key.pem", "PRIVATE KEY", keyDER)
}

// serveEach runs handle for each connection of l until l is closed.
func serveEach(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go handle(c)
	}
}

func TestTLSHalfClose(t *testing.T) {
	a := newAuthority(t)
	l := listen(t, "tls://127.0.0.1:0?"+a.issue("localhost", time.Now().Add(time.Hour)))
	go serveEach(l, func(c net.Conn) {
		defer c.Close()
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		_, _ = c.Write(append([]byte("after your end: "), b...))
	})
	c, err := tincan.Dial(t.Context(), l.Addr().String()+"?server-name=localhost&ca="+a.ca)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if string(got) != "after your end: hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTLSCutShort(t *testing.T) {
	a := newAuthority(t)
	l := listen(t, "tls://127.0.0.1:0?"+a.issue("localhost", time.Now().Add(time.Hour)))
	go serveEach(l, func(c net.Conn) {
		_, _ = c.Write([]byte("half a mess"))
		_ = c.(interface{ NetConn() net.Conn }).NetConn().Close() // no close_notify
	})
	c, err := tincan.Dial(t.Context(), l.Addr().String()+"?server-name=localhost&ca="+a.ca)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if string(got) != "half a mess" || !errors.Is(err, io.ErrUnexpectedEOF) || tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("got %q, %v of kind %v; want the data and an unexpected EOF of kind reset", got, err, tincan.KindOf(err))
	}
}

func TestTLSDenied(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	valid := time.Now().Add(time.Hour)
	tests := []struct {
		name           string
		server, client string
	}{
		{"unknown authority", a.issue("localhost", valid), "ca=" + other.ca},
		{"wrong name", a.issue("elsewhere", valid), "ca=" + a.ca},
		{"expired", a.issue("expired", time.Now().Add(-time.Minute)), "server-name=expired&ca=" + a.ca},
		{"no client certificate", a.issue("localhost", valid) + "&client-ca=" + a.ca, "ca=" + a.ca},
		{"wrong client certificate", a.issue("localhost", valid) + "&client-ca=" + a.ca, "ca=" + a.ca + "&" + other.issue("localhost", valid)},
	}
	for _, tt := range tests {
		for _, scheme := range []string{"tls+tcp://127.0.0.1:0", "tls+unix:" + filepath.Join(t.TempDir(), "s")} {
			t.Run(tt.name+" "+scheme[:8], func(t *testing.T) {
				l := listen(t, scheme+"?"+tt.server)
				accepted := make(chan error, 1)
				go serveEach(l, func(c net.Conn) {
					accepted <- tincan.Handshake(context.Background(), c)
					_, _ = io.Copy(io.Discard, c)
					_ = c.Close()
				})
				client := tt.client
				if tt.name != "expired" {
					client += "&server-name=localhost"
				}
				c, err := tincan.Dial(t.Context(), l.Addr().String()+"?"+client)
				if err == nil { // TLS 1.3: the server's verdict on the client comes after the client's handshake
					_, _ = c.Write([]byte("data that the server will never read"))
					_, err = c.Read(make([]byte, 1))
					_ = c.Close()
				}
				if tincan.KindOf(err) != tincan.KindDenied {
					t.Errorf("client: %v of kind %v, want denied", err, tincan.KindOf(err))
				}
				if err := <-accepted; tincan.KindOf(err) != tincan.KindDenied {
					t.Errorf("server: %v of kind %v, want denied", err, tincan.KindOf(err))
				}
			})
		}
	}
}

func TestTLSVersion(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue("localhost", time.Now().Add(time.Hour))
	old := listen(t, "tls://127.0.0.1:0?min-version=1.2&"+cert)
	go serveEach(old, func(c net.Conn) { _, _ = io.Copy(c, c); _ = c.Close() })
	c, err := tincan.Dial(t.Context(), old.Addr().String()+"?server-name=localhost&ca="+a.ca)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// inProcess stands in for tcp inside a synctest bubble, whatever the address.
type inProcess struct{ endpoint string }

func (p inProcess) Dial(ctx context.Context, _ *tincan.Dialer, _ *tincan.Endpoint) (net.Conn, error) {
	return tincan.Dial(ctx, p.endpoint)
}

func (p inProcess) Listen(ctx context.Context, _ *tincan.ListenConfig, _ *tincan.Endpoint) (net.Listener, error) {
	return tincan.Listen(ctx, p.endpoint)
}

// A client that never speaks is dropped by the handshake's deadline and holds up no other.
func TestTLSSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		below := inProcess{"mem:" + t.Name()}
		config := tincan.Config{Transports: map[string]tincan.Transport{"tcp": below}}
		l, err := (&tincan.ListenConfig{Config: config}).Listen(t.Context(), "tls://localhost:1?handshake-timeout=200ms&"+a.issue("localhost", time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		start := time.Now()
		type end struct {
			err error
			at  time.Duration
		}
		result := make(chan end, 2)
		go serveEach(l, func(c net.Conn) {
			err := tincan.Handshake(context.Background(), c)
			result <- end{err, time.Since(start)}
			_ = c.Close()
		})
		silent, err := tincan.Dial(t.Context(), below.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		honest, err := (&tincan.Dialer{Config: config}).Dial(t.Context(), "tls://localhost:1?ca="+a.ca)
		if err != nil {
			t.Fatal(err)
		}
		defer honest.Close()
		if first := <-result; first.err != nil || first.at != 0 {
			t.Errorf("the honest client's handshake: %v after %v", first.err, first.at)
		}
		if second := <-result; tincan.KindOf(second.err) != tincan.KindTimeout || second.at != 200*time.Millisecond {
			t.Errorf("the silent client's handshake: %v after %v, want a timeout after 200ms", second.err, second.at)
		}
	})
}

func TestTLSBadFiles(t *testing.T) {
	a := newAuthority(t)
	notPEM := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(notPEM, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert := a.issue("localhost", time.Now().Add(time.Hour))
	for _, query := range []string{"", "?cert=/nonexistent", "?key=/nonexistent", "?cert=" + notPEM, "?client-ca=" + notPEM + "&" + cert} {
		l, err := tincan.Listen(t.Context(), "tls://127.0.0.1:0"+query)
		if err == nil {
			_ = l.Close()
		}
		if tincan.KindOf(err) != tincan.KindUsage {
			t.Errorf("listening with %q: %v, want a usage error", query, err)
		}
	}
}
