package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tlsPeer serves one TLS connection with a certificate of a new authority,
// after change has had its way with both.
func tlsPeer(t *testing.T, change func(*x509.Certificate, *tls.Config), serve func(tcp *net.TCPConn, c *tls.Conn) error) (url string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := loadOrMakeCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	template, config := leafTemplate("127.0.0.1"), &tls.Config{MinVersion: tls.VersionTLS12}
	change(template, config)
	if err := ca.issue(dir, "host", template); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certPaths(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	url = peer(t, func(tcp *net.TCPConn) error { return serve(tcp, tls.Server(tcp, config)) })
	return strings.Replace(url, "tcp:", "tls:", 1) + "?ca=" + filepath.Join(dir, "ca.pem")
}

// TestTLSCutShort: an end without close_notify may be an attacker's.
func TestTLSCutShort(t *testing.T) {
	t.Parallel()
	url := tlsPeer(t, func(*x509.Certificate, *tls.Config) {}, func(tcp *net.TCPConn, c *tls.Conn) error {
		if _, err := io.ReadAll(c); err != nil {
			return err
		}
		_, err := io.WriteString(c, "half an ans")
		return errors.Join(err, tcp.CloseWrite())
	})
	got := run(t, "question\n", "connect", url)
	if got.code != 5 || got.stdout != "half an ans" || !strings.Contains(got.stderr, "may be cut short") {
		t.Errorf("exit %d, %q: %s", got.code, got.stdout, got.stderr)
	}
}

func TestTLSExpired(t *testing.T) {
	t.Parallel()
	url := tlsPeer(t, func(c *x509.Certificate, _ *tls.Config) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}, func(_ *net.TCPConn, c *tls.Conn) error {
		if c.Handshake() == nil {
			return errors.New("the client accepted an expired certificate")
		}
		return nil
	})
	got := run(t, "", "connect", url)
	if got.code != 6 || !strings.Contains(got.stderr, "expired") || !strings.Contains(got.stderr, "hint: the certificate is out of date") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

// TestTLSVersion: 1.3 unless the URL allows an older one.
func TestTLSVersion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query string
		code  int
	}{{"", 6}, {"&min-version=1.2", 0}} {
		url := tlsPeer(t, func(_ *x509.Certificate, config *tls.Config) {
			config.MaxVersion = tls.VersionTLS12
		}, func(_ *net.TCPConn, c *tls.Conn) error {
			_, err := io.Copy(c, c)
			if test.code != 0 && err != nil {
				return nil // the client was right to leave
			}
			return errors.Join(err, c.CloseWrite())
		})
		if got := run(t, "hello\n", "connect", url+test.query); got.code != test.code {
			t.Errorf("%q: exit %d, want %d: %s", test.query, got.code, test.code, got.stderr)
		}
	}
}
