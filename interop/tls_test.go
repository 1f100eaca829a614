//go:build linux

package interop

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// certificates are files that tincan cert has made, for the host localhost.
type certificates struct{ ca, cert, key string }

func newCertificates(t *testing.T) certificates {
	t.Helper()
	dir := t.TempDir()
	run(t, nil, tincan(t), "cert", dir, "localhost")
	return certificates{
		ca:   filepath.Join(dir, "ca.pem"),
		cert: filepath.Join(dir, "localhost.pem"),
		key:  filepath.Join(dir, "localhost-key.pem"),
	}
}

// serverURL adds to an endpoint what a server needs to prove that it is localhost.
func (c certificates) serverURL(endpoint string) string {
	return endpoint + "?" + url.Values{"cert": {c.cert}, "key": {c.key}}.Encode()
}

// clientURL adds to an endpoint what a client needs to check that it is.
func (c certificates) clientURL(endpoint string) string {
	return endpoint + "?" + url.Values{"ca": {c.ca}, "server-name": {"localhost"}}.Encode()
}

// sClient is OpenSSL's client, strict about the server's certificate.
func (c certificates) sClient(t *testing.T, at address, flags ...string) *process {
	t.Helper()
	return start(t, append([]string{
		"openssl", "s_client", "-connect", at.host + ":" + at.port, "-servername", "localhost",
		"-verify_hostname", "localhost", "-verify_return_error", "-quiet", "-no_ign_eof",
	}, flags...)...)
}

// sServer is OpenSSL's server that answers each line by the line reversed.
func (c certificates) sServer(t *testing.T, flags ...string) (p *process, at address) {
	t.Helper()
	p = start(t, append([]string{
		"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", c.cert, "-key", c.key, "-rev",
	}, flags...)...)
	return p, tcpAt(p.await(p.out, regexp.MustCompile(`ACCEPT 127\.0\.0\.1:(\d+)\s`)))
}

// TestOpenSSLClient talks to tincan's echo over TLS. An end without close_notify would
// be an error to this client.
func TestOpenSSLClient(t *testing.T) {
	certs := newCertificates(t)
	at := parseURL(t, serveTincan(t, "echo", certs.serverURL("tls://127.0.0.1:0")))
	talk := func(t *testing.T, flags ...string) {
		t.Helper()
		p := certs.sClient(t, at, append(flags, "-CAfile", certs.ca)...)
		p.say("one\n")
		p.hear("one\n")
		p.say(strings.Repeat("x", 100_000) + "\n") // many records
		p.hear("one\n" + strings.Repeat("x", 100_000) + "\n")
		p.end()
		p.wantStatus(0)
	}
	t.Run("TLS 1.3", func(t *testing.T) { talk(t, "-tls1_3") })
	t.Run("a client that does not know the CA", func(t *testing.T) {
		p := certs.sClient(t, at, "-no-CAfile", "-no-CApath", "-no-CAstore")
		p.await(p.err, regexp.MustCompile(`certificate verify failed`))
		p.wantStatus(1)
	})
	t.Run("an old protocol", func(t *testing.T) {
		p := certs.sClient(t, at, "-CAfile", certs.ca, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
		p.await(p.err, regexp.MustCompile(`alert protocol version`))
		p.wantStatus(1)
	})
	t.Run("and on", func(t *testing.T) { talk(t) })
}

// TestOpenSSLMinVersion has a server that says which versions it takes.
func TestOpenSSLMinVersion(t *testing.T) {
	certs := newCertificates(t)
	for version, status := range map[string]int{"1.2": 0, "1.3": 1} {
		t.Run(version, func(t *testing.T) {
			at := parseURL(t, serveTincan(t, "echo",
				certs.serverURL("tls://127.0.0.1:0")+"&min-version="+version))
			p := certs.sClient(t, at, "-CAfile", certs.ca, "-tls1_2")
			if status == 0 {
				p.say("one\n")
				p.hear("one\n")
				p.end()
			} else {
				p.await(p.err, regexp.MustCompile(`alert protocol version`))
			}
			p.wantStatus(status)
		})
	}
}

// TestOpenSSLServer talks to OpenSSL's server with tincan connect.
func TestOpenSSLServer(t *testing.T) {
	certs := newCertificates(t)
	_, at := certs.sServer(t)
	endpoint := certs.clientURL(at.url("tls"))
	t.Run("talk", func(t *testing.T) {
		p := start(t, tincan(t), "connect", endpoint)
		p.say("stressed\n")
		p.hear("desserts\n")
		p.say("live\n")
		p.hear("desserts\nevil\n")
		p.end()
		p.wantStatus(0)
	})
	t.Run("all at once", func(t *testing.T) {
		wantSame(t, run(t, []byte("one\ntwo\n"), tincan(t), "connect", endpoint), "eno\nowt\n")
	})
	t.Run("another CA", func(t *testing.T) {
		p := start(t, tincan(t), "connect", newCertificates(t).clientURL(at.url("tls")))
		p.wantStatus(6)
	})
	t.Run("another name", func(t *testing.T) {
		wrong := strings.Replace(endpoint, "server-name=localhost", "server-name=example.org", 1)
		p := start(t, tincan(t), "connect", wrong)
		p.wantStatus(6)
	})
	t.Run("and on", func(t *testing.T) {
		wantSame(t, run(t, []byte("one\n"), tincan(t), "connect", endpoint), "eno\n")
	})
}

// TestOpenSSLVersions dials servers that speak one version alone.
func TestOpenSSLVersions(t *testing.T) {
	certs := newCertificates(t)
	for _, flag := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(flag, func(t *testing.T) {
			_, at := certs.sServer(t, flag)
			endpoint := certs.clientURL(at.url("tls")) + "&min-version=1.2"
			wantSame(t, run(t, []byte("one\n"), tincan(t), "connect", endpoint), "eno\n")
		})
	}
}

// TestOpenSSLCut kills the server in the middle: TCP ends in order, but without
// close_notify no one can tell that from an attacker's cut.
func TestOpenSSLCut(t *testing.T) {
	certs := newCertificates(t)
	server, at := certs.sServer(t)
	client := start(t, tincan(t), "connect", certs.clientURL(at.url("tls")))
	client.say("one\n")
	client.hear("eno\n")
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	client.wantStatus(5)
	wantSame(t, client.out.String(), "eno\n")
}

// TestOpenSSLClientCertificate has tincan ask its clients for a certificate.
func TestOpenSSLClientCertificate(t *testing.T) {
	certs := newCertificates(t)
	at := parseURL(t, serveTincan(t, "echo",
		certs.serverURL("tls://127.0.0.1:0")+"&"+url.Values{"client-ca": {certs.ca}}.Encode()))
	t.Run("none", func(t *testing.T) {
		p := certs.sClient(t, at, "-CAfile", certs.ca)
		p.await(p.err, regexp.MustCompile(`alert certificate required`))
		p.wantStatus(1)
	})
	t.Run("one of ours", func(t *testing.T) {
		p := certs.sClient(t, at, "-CAfile", certs.ca, "-cert", certs.cert, "-key", certs.key)
		p.say("one\n")
		p.hear("one\n")
		p.end()
		p.wantStatus(0)
	})
}
