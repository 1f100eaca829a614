package ws_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// localhost gives the TLS configurations of both sides, for the name localhost.
func localhost(t *testing.T) (client, server *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}
}

func TestOverTLS(t *testing.T) {
	d, lc := dialer(), listenConfig()
	d.TLS, lc.TLS = localhost(t)
	l, err := lc.Listen(t.Context(), "wss://localhost:0/x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := make([]byte, 1<<20)
	_, _ = rand.Read(want)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		_, err = io.CopyN(c, c, int64(len(want)))
		if err == nil {
			err = c.Close()
		}
		if err != nil {
			t.Errorf("server: %v", err)
		}
	}()
	c, err := d.Dial(ctx(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = c.Write(want) }()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(want), err)
	}
}

// The layer that failed is named, on both sides.
func TestTLSFailureIsNoneOfWebSocket(t *testing.T) {
	lc := listenConfig()
	_, lc.TLS = localhost(t)
	l, err := lc.Listen(t.Context(), "wss://localhost:0/x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = tincan.Handshake(context.Background(), c)
			_ = c.Close()
		}
		served <- err
	}()
	_, err = dialer().Dial(ctx(t), l.Addr().String()) // which trusts no such certificate
	for side, err := range map[string]error{"client": err, "server": <-served} {
		var handshake *tincan.HandshakeError
		if !errors.As(err, &handshake) || handshake.Layer != "tls" || tincan.KindOf(err) != tincan.KindDenied {
			t.Errorf("%s: %v, kind %v", side, err, tincan.KindOf(err))
		}
	}
}

func TestSilentClientBelowTLS(t *testing.T) {
	lc := listenConfig()
	_, lc.TLS = localhost(t)
	l, err := lc.Listen(t.Context(), "wss://127.0.0.1:0/x?handshake-timeout=50ms")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := l.Addr().(*tincan.Endpoint)
	silent, err := net.Dial("tcp", net.JoinHostPort(e.Host, e.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = io.Copy(io.Discard, silent); _ = silent.Close() }()
	if _, err := c.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("Read: %v, kind %v", err, tincan.KindOf(err))
	}
}
