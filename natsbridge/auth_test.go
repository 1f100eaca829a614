package natsbridge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
)

// try connects, and gives the kind of the failure.
func try(t *testing.T, text string) (tincan.ErrorKind, error) {
	t.Helper()
	nc, err := natsbridge.Connect(t.Context(), endpoint(t, text), nil)
	if err != nil {
		return tincan.KindOf(err), err
	}
	if err := natsbridge.Close(nc, patience); err != nil {
		t.Error(err)
	}
	return tincan.KindNone, nil
}

func TestCredentials(t *testing.T) {
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "seed.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	users := natstest.Start(t, 1, "authorization { users: [ { user: me, password: secret }, { nkey: "+public+" } ] }\n")[0].Address()
	token := natstest.Start(t, 1, "authorization { token: sesame }\n")[0].Address()
	for _, c := range []struct {
		url  string
		want tincan.ErrorKind
	}{
		{"nats://me:secret@" + users + "/s", tincan.KindNone},
		{"nats://" + users + "/s?nkey=" + url.QueryEscape(file), tincan.KindNone},
		{"nats://sesame@" + token + "/s", tincan.KindNone},
		{"nats://me:wrong@" + users + "/s", tincan.KindDenied},
		{"nats://" + users + "/s", tincan.KindDenied},
		{"nats://wrong@" + token + "/s", tincan.KindDenied},
		{"tls+nats://sesame@" + token + "/s", tincan.KindDenied},
		{"nats://" + users + "/s?nkey=missing.nk", tincan.KindUsage},
		{"nats://" + users + "/s?ca=missing.pem", tincan.KindUsage},
		{"nats://" + users + "/s?key=missing.pem", tincan.KindUsage},
	} {
		if got, err := try(t, c.url); got != c.want {
			t.Errorf("%s: %v, want %v: %v", c.url, got, c.want, err)
		}
	}
}

// A file of credentials, as nsc makes them: a user's JWT, signed by an account that an operator vouches for, and the user's key.
func TestCredentialsFile(t *testing.T) {
	operator, operatorKey := newKey(t, nkeys.CreateOperator)
	account, accountKey := newKey(t, nkeys.CreateAccount)
	signed := func(claims interface {
		Encode(nkeys.KeyPair) (string, error)
	}, by nkeys.KeyPair,
	) string {
		token, err := claims.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	system, _ := newKey(t, nkeys.CreateAccount) // the server wants one to run JetStream in
	vouches := jwt.NewOperatorClaims(operator)
	vouches.SystemAccount = system
	config := fmt.Sprintf("operator: %q\nresolver: MEMORY\nresolver_preload: { %s: %q, %s: %q }\n", signed(vouches, operatorKey),
		account, signed(jwt.NewAccountClaims(account), operatorKey), system, signed(jwt.NewAccountClaims(system), operatorKey))
	at := natstest.Start(t, 1, config)[0].Address()
	_, strangersKey := newKey(t, nkeys.CreateAccount)
	for name, c := range map[string]struct {
		by   nkeys.KeyPair
		want tincan.ErrorKind
	}{
		"known":    {accountKey, tincan.KindNone},
		"stranger": {strangersKey, tincan.KindDenied},
	} {
		user, userKey := newKey(t, nkeys.CreateUser)
		seed, err := userKey.Seed()
		if err != nil {
			t.Fatal(err)
		}
		creds, err := jwt.FormatUserConfig(signed(jwt.NewUserClaims(user), c.by), seed)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name+".creds")
		if err := os.WriteFile(file, creds, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := try(t, "nats://"+at+"/s?creds="+url.QueryEscape(file)); got != c.want {
			t.Errorf("%s: %v, want %v: %v", name, got, c.want, err)
		}
	}
	if got, err := try(t, "nats://"+at+"/s"); got != tincan.KindDenied {
		t.Errorf("nobody: %v, want denied: %v", got, err)
	}
	if got, err := try(t, "nats://"+at+"/s?creds=missing.creds"); got != tincan.KindUsage {
		t.Errorf("a file that isn't there: %v, want usage: %v", got, err)
	}
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (public string, key nkeys.KeyPair) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err = key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public, key
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	writeCertificates(t, dir)
	config := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n",
		filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"), filepath.Join(dir, "ca.pem"))
	at := natstest.Start(t, 1, config)[0].Address()
	q := url.QueryEscape
	ca, cert := "ca="+q(filepath.Join(dir, "ca.pem")), "cert="+q(filepath.Join(dir, "server.pem"))+"&key="+q(filepath.Join(dir, "server-key.pem"))
	for _, c := range []struct {
		url  string
		want tincan.ErrorKind
	}{
		{"nats://" + at + "/s?" + ca + "&" + cert, tincan.KindNone},
		{"tls+nats://" + at + "/s?" + ca + "&" + cert + "&server-name=localhost", tincan.KindNone},
		{"nats://" + at + "/s?" + ca, tincan.KindDenied},
		{"tls+nats://" + at + "/s?" + cert, tincan.KindDenied},
		{"nats://" + at + "/s?" + ca + "&" + cert + "&server-name=elsewhere", tincan.KindDenied},
	} {
		if got, err := try(t, c.url); got != c.want {
			t.Errorf("%s: %v, want %v: %v", c.url, got, c.want, err)
		}
	}
}

func TestConnectFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String()
	o := &natsbridge.ConnectOptions{Timeout: 50 * time.Millisecond}
	_, err = natsbridge.Connect(t.Context(), endpoint(t, "nats://"+silent+"/s"), o)
	if tincan.KindOf(err) != tincan.KindTimeout && tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("a server that says nothing: %v", err)
	}
	l.Close()
	if _, err := natsbridge.Connect(t.Context(), endpoint(t, "nats://"+silent+"/s"), &natsbridge.ConnectOptions{Timeout: patience}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := natsbridge.Connect(ctx, endpoint(t, "nats://"+silent+"/s"), o); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx ended: %v", err)
	}
}

// TestPermissions: a subject that the user may not use is denied, and told.
func TestPermissions(t *testing.T) {
	c := natstest.Start(t, 1, "authorization { users: [ { user: me, password: secret, permissions: { publish: \"may\", subscribe: \"may\" } } ] }\n")
	told := make(chan error, 10)
	e := endpoint(t, "nats://me:secret@"+c[0].Address()+"/mayn't")
	nc, err := natsbridge.Connect(t.Context(), e, &natsbridge.ConnectOptions{OnEvent: func(e natsbridge.Event) { told <- e.Err }})
	if err != nil {
		t.Fatal(err)
	}
	defer natsbridge.Close(nc, 0)
	if err := natsbridge.NewPublisher(nc, "other").Publish([]byte("t"), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-told:
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("told of %v", err)
		}
	case <-time.After(patience):
		t.Error("nothing was told")
	}
}

// writeCertificates writes a private authority (ca.pem), and a certificate for localhost (server.pem, server-key.pem).
func writeCertificates(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	write("ca.pem", "CERTIFICATE", der)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	must(err)
	write("server.pem", "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write("server-key.pem", "PRIVATE KEY", der)
}
