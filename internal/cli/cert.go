package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
)

// Lifetimes of what cert makes. A leaf's is the most that clients accept of public ones.
const (
	leafDays = 397
	caDays   = 3650
)

func (p *program) certCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "cert DIR HOST...",
		Short: "A private CA and certificates for trying things out",
		Long: `cert makes, in the folder DIR, a private certificate authority (ca.pem, ca-key.pem)
and for each HOST, a name or an IP address, a certificate signed by it (HOST.pem,
HOST-key.pem; a colon or star in HOST becomes _ in the file's name), and one for
clients (client.pem, client-key.pem). It prints lines to try them with.

Keys are ECDSA P-256, readable by their owner alone. An authority or client
certificate that is already there is kept and used; a host's is not overwritten
without --force. These are for trials: the authority's key lies beside them.

` + exitCodesHelp,
		Example: `  tincan cert certs localhost 127.0.0.1
  tincan serve echo 'tls://localhost:0?cert=certs/localhost.pem&key=certs/localhost-key.pem'`,
		Args: arguments(true, "DIR", "HOST"),
		RunE: func(_ *cobra.Command, args []string) error { return p.cert(args[0], args[1:], force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite certificates of hosts")
	return cmd
}

func (p *program) cert(dir string, hosts []string, force bool) error {
	for _, host := range hosts {
		if err := checkCertHost(host); err != nil {
			return err
		}
		for _, path := range certFiles(dir, host) {
			if _, err := os.Lstat(path); err == nil && !force {
				return &hintedError{error: fmt.Errorf("%s: %w", path, fs.ErrExist), hint: "--force overwrites it"}
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ca, err := loadOrMakeCA(dir)
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if err := ca.issue(dir, host, leafTemplate(host)); err != nil {
			return err
		}
	}
	if _, err := tls.LoadX509KeyPair(certPaths(dir, "client")); err != nil {
		if err := ca.issue(dir, "client", leafTemplate("")); err != nil {
			return err
		}
	}
	for _, host := range hosts {
		p.suggestTLS(dir, host)
	}
	return nil
}

// checkCertHost accepts what a certificate can name and a file can be called.
func checkCertHost(host string) error {
	switch host {
	case "ca", "client":
		return &usageError{problem: fmt.Sprintf("host %q: its files would be the %s's own", host, host), remedy: "use another name"}
	}
	bare := strings.TrimPrefix(host, "*.")
	if net.ParseIP(host) == nil && (bare == "" || strings.HasPrefix(bare, "-") || strings.Trim(strings.ToLower(bare), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "") {
		return &usageError{problem: fmt.Sprintf("host %q is neither a name nor an IP address", host), remedy: "such as localhost, *.example.org, 127.0.0.1 or ::1"}
	}
	return nil
}

// certPaths gives the files of a certificate and of its key.
func certPaths(dir, host string) (cert, key string) {
	base := filepath.Join(dir, strings.NewReplacer(":", "_", "*", "_").Replace(host))
	return base + ".pem", base + "-key.pem"
}

func certFiles(dir, host string) []string {
	cert, key := certPaths(dir, host)
	return []string{cert, key}
}

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// loadOrMakeCA uses the authority that is in dir, or makes one there.
func loadOrMakeCA(dir string) (*authority, error) {
	certPath, keyPath := certPaths(dir, "ca")
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	switch {
	case err == nil:
		key, ok := pair.PrivateKey.(crypto.Signer)
		if !ok || !pair.Leaf.IsCA || time.Now().After(pair.Leaf.NotAfter) {
			return nil, fmt.Errorf("%s is no authority that is still valid", certPath)
		}
		return &authority{cert: pair.Leaf, key: key}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", certPath, err)
	}
	for _, path := range []string{certPath, keyPath} {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s is there without the other of the authority's two files", path)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "tincan private CA of " + now.Format(time.DateOnly)},
		NotBefore:             now.Add(-time.Hour), // for clocks that are behind
		NotAfter:              now.AddDate(0, 0, caDays),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, writePair(dir, "ca", der, key)
}

// leafTemplate describes the certificate of a host, or with none of a client.
func leafTemplate(host string) *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: host},
		NotBefore:   now.Add(-time.Hour),
		NotAfter:    now.AddDate(0, 0, leafDays),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else if host != "" {
		t.DNSNames = []string{host}
	} else {
		t.Subject.CommonName = "tincan client"
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return t
}

// issue makes a key and a certificate as template says, and writes both.
func (a *authority) issue(dir, host string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePair(dir, host, der, key)
}

func writePair(dir, host string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPath, keyPath := certPaths(dir, host)
	if err := writePEM(keyPath, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(certPath, "CERTIFICATE", der, 0o644)
}

// writePEM puts the file in place whole, so that no reader sees a part and no
// symlink is followed.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tincan-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// suggestTLS prints lines that use the certificate of host.
func (p *program) suggestTLS(dir, host string) {
	certPath, keyPath := certPaths(dir, host)
	caPath, _ := certPaths(dir, "ca")
	at := host
	if strings.HasPrefix(host, "*.") {
		at = "www" + host[1:]
	}
	server := tincan.Endpoint{Scheme: "tls+tcp", Host: at, Port: "8443", Options: tincan.Options{Cert: certPath, Key: keyPath}}
	client := tincan.Endpoint{Scheme: "tls+tcp", Host: at, Port: "8443", Options: tincan.Options{CA: caPath}}
	p.report.write(fmt.Appendf(nil, "tincan serve echo %s\necho hello | tincan connect %s\n", shellQuote(&server), shellQuote(&client)))
}

// shellQuote writes e, in the short form of its scheme, as one word of a shell.
func shellQuote(e *tincan.Endpoint) string {
	return "'" + strings.ReplaceAll(strings.Replace(e.String(), "tls+tcp:", "tls:", 1), "'", `'\''`) + "'"
}
