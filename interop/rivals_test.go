//go:build linux

package interop

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan/internal/porttest"
)

// streamURL is a tincan endpoint to listen on, for each kind of byte stream.
func streamURL(t *testing.T, kind string) string {
	t.Helper()
	switch kind {
	case "tcp":
		return "tcp://127.0.0.1:0"
	case "tcp6":
		return "tcp://[::1]:0"
	case "unix":
		return "unix://" + socketPath(t)
	case "abstract":
		return "unix:@" + strings.TrimPrefix(socketPath(t), "/")
	}
	t.Fatalf("no such kind: %s", kind)
	return ""
}

// TestSocatClient sends through tincan's echo with socat. Its -t is how long it waits
// for the rest of an answer once its own input has ended.
func TestSocatClient(t *testing.T) {
	data := noise(1 << 20)
	to := map[string]func(address) string{
		"tcp":      func(a address) string { return "TCP4:127.0.0.1:" + a.port },
		"tcp6":     func(a address) string { return "TCP6:[::1]:" + a.port },
		"unix":     func(a address) string { return "UNIX-CONNECT:" + a.path },
		"abstract": func(a address) string { return "ABSTRACT-CONNECT:" + strings.TrimPrefix(a.path, "@") },
	}
	for kind, words := range to {
		t.Run(kind, func(t *testing.T) {
			at := parseURL(t, serveTincan(t, "echo", streamURL(t, kind)))
			got := run(t, data, "socat", "-t", "30", "-", words(at))
			wantSame(t, got, string(data))
		})
	}
}

// seqpacket makes a Unix socket of socat's one of SOCK_SEQPACKET.
var seqpacket = ",socktype=" + strconv.Itoa(syscall.SOCK_SEQPACKET)

// TestSocatMessages sends messages through tincan's echo with socat, which takes one
// read for one message and cuts nothing.
func TestSocatMessages(t *testing.T) {
	tests := []struct {
		name, listen string
		words        func(address) string
	}{
		{"udp", "udp://127.0.0.1:0", func(a address) string { return "UDP4:127.0.0.1:" + a.port }},
		{"udp6", "udp://[::1]:0", func(a address) string { return "UDP6:[::1]:" + a.port }},
		{"unixpacket", "unixpacket://" + socketPath(t), func(a address) string {
			return "UNIX-CONNECT:" + a.path + seqpacket
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at := parseURL(t, serveTincan(t, "echo", test.listen))
			p := start(t, "socat", "-b", "65536", "-", test.words(at))
			said := ""
			for _, text := range []string{"one", "and two", strings.Repeat("three ", 5000)} {
				p.say(text)
				said += text
				p.hear(said)
			}
			p.end()
			p.wantStatus(0)
		})
	}
}

// TestNcatClient sends through tincan's echo with ncat, which half-closes too.
func TestNcatClient(t *testing.T) {
	data := noise(1 << 20)
	for _, kind := range []string{"tcp", "tcp6", "unix"} {
		t.Run(kind, func(t *testing.T) {
			at := parseURL(t, serveTincan(t, "echo", streamURL(t, kind)))
			argv := append([]string{"ncat"}, at.words()...)
			if kind == "unix" {
				argv = []string{"ncat", "-U", at.path}
			}
			wantSame(t, run(t, data, argv...), string(data))
		})
	}
	t.Run("udp", func(t *testing.T) {
		at := parseURL(t, serveTincan(t, "echo", "udp://127.0.0.1:0"))
		p := start(t, "ncat", "-u", at.host, at.port)
		p.say("one\n")
		p.hear("one\n")
		p.say("two\n")
		p.hear("one\ntwo\n") // ncat would now wait for ever: UDP has no end
	})
	t.Run("tls", func(t *testing.T) {
		certs := newCertificates(t)
		at := parseURL(t, serveTincan(t, "echo", certs.serverURL("tls://127.0.0.1:0")))
		// ncat ends its input by a half-close of TCP, without the close_notify of TLS. A server
		// may well call that cut short, but the echo of what came before it has to arrive.
		got := run(t, data, "ncat", "--ssl-verify", "--ssl-trustfile", certs.ca, "--ssl-servername",
			"localhost", "localhost", at.port)
		wantSame(t, got, string(data))
	})
}

// TestCurl reads the page of tincan's hello as a browser would.
func TestCurl(t *testing.T) {
	certs := newCertificates(t)
	tests := []struct {
		name, listen string
		words        func(address) []string
	}{
		{"tcp", "tcp://127.0.0.1:0", func(a address) []string {
			return []string{"http://127.0.0.1:" + a.port + "/"}
		}},
		{"unix", "unix://" + socketPath(t), func(a address) []string {
			return []string{"--unix-socket", a.path, "http://localhost/"}
		}},
		{"https", certs.serverURL("tls://127.0.0.1:0"), func(a address) []string {
			return []string{
				"--cacert", certs.ca, "--resolve", "localhost:" + a.port + ":127.0.0.1",
				"https://localhost:" + a.port + "/",
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at := parseURL(t, serveTincan(t, "hello", test.listen))
			for _, version := range []string{"1.0", "1.1"} {
				t.Run(version, func(t *testing.T) {
					argv := []string{
						"curl", "--silent", "--show-error", "--noproxy", "*", "--http" + version,
						"--write-out", "\n%{http_code} %{content_type}",
					}
					got := run(t, nil, append(argv, test.words(at)...)...)
					page, facts, _ := cutLast(got, "\n")
					if !strings.Contains(page, "You Connected to the Server!") {
						t.Errorf("page %q", page)
					}
					if !strings.HasPrefix(facts, "200 text/html") {
						t.Errorf("status and type %q, want 200 text/html", facts)
					}
				})
			}
		})
	}
	t.Run("one connection for two pages", func(t *testing.T) {
		at := parseURL(t, serveTincan(t, "hello", "tcp://127.0.0.1:0"))
		page := "http://127.0.0.1:" + at.port + "/"
		got := run(t, nil, "curl", "--silent", "--show-error", "--noproxy", "*",
			"--write-out", "%{num_connects},", "--output", "/dev/null", page, "--output", "/dev/null", page)
		wantSame(t, got, "1,0,")
	})
	t.Run("head and a page that is not there", func(t *testing.T) {
		at := parseURL(t, serveTincan(t, "hello", "tcp://127.0.0.1:0"))
		argv := []string{
			"curl", "--silent", "--show-error", "--noproxy", "*", "--output", "/dev/null",
			"--write-out", "%{http_code}",
		}
		page := "http://127.0.0.1:" + at.port
		wantSame(t, run(t, nil, append(argv, "--head", page+"/")...), "200")
		wantSame(t, run(t, nil, append(argv, page+"/nowhere")...), "404")
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// TestLateReply has a server that answers only a second after the client's half-close:
// nothing of the answer may be lost, and all of the question must have arrived.
func TestLateReply(t *testing.T) {
	const answer = "SYSTEM:n=$(wc -c); sleep 1; echo got $n"
	for _, family := range families {
		for _, size := range []int{0, 14, 1 << 20} {
			t.Run(family.name+" "+strconv.Itoa(size), func(t *testing.T) {
				t.Parallel()
				_, at := socatServer(t, family.free(t), answer)
				got := run(t, noise(size), tincan(t), "connect", at.url("tcp"))
				wantSame(t, got, "got "+strconv.Itoa(size)+"\n")
			})
		}
	}
}

// socatReady is what socat prints, with -d -d, once it is bound.
var socatReady = regexp.MustCompile(`listening on (?:UDP )?AF=\d+ "?([^\s"]+)"?\s`)

// socatServer starts socat as a server of one client, whom other answers.
func socatServer(t *testing.T, at address, other string) (*process, address) {
	t.Helper()
	listen := "TCP4-LISTEN:" + at.port + ",bind=127.0.0.1"
	if at.path != "" {
		listen = "UNIX-LISTEN:" + at.path
	}
	p := start(t, "socat", "-d", "-d", "-t", "30", listen, other)
	if where := p.await(p.err, socatReady); at.path == "" {
		at = parseURL(t, "tcp://"+where)
	}
	return p, at
}

// ncat starts ncat as a server on a port that is free, or on a path.
func ncat(t *testing.T, flags ...string) (p *process, at address) {
	t.Helper()
	at = tcpAt(strconv.Itoa(porttest.Reserve(t)))
	argv := append([]string{"ncat", "-v", "-l"}, flags...)
	p = start(t, append(argv, at.words()...)...)
	p.await(p.err, regexp.MustCompile(`Listening on 127\.0\.0\.1:(\d+)\s`))
	return p, at
}

// TestNcatServer talks to ncat with tincan connect. ncat leaves as soon as its client
// has ended, so its answer comes before that.
func TestNcatServer(t *testing.T) {
	talk := func(t *testing.T, server *process, endpoint string) {
		t.Helper()
		client := start(t, tincan(t), "connect", endpoint)
		client.say("question\n")
		server.hear("question\n")
		server.say("answer\n")
		client.hear("answer\n")
		client.end()
		client.wantStatus(0)
		server.wantStatus(0)
	}
	t.Run("tcp", func(t *testing.T) {
		server, at := ncat(t)
		talk(t, server, at.url("tcp"))
	})
	t.Run("unix", func(t *testing.T) {
		at := address{path: socketPath(t)}
		server := start(t, "ncat", "-v", "-l", "-U", at.path)
		server.await(server.err, regexp.MustCompile(`Listening on (\S+)\s`))
		talk(t, server, at.url("unix"))
	})
	t.Run("tls", func(t *testing.T) {
		certs := newCertificates(t)
		server, at := ncat(t, "--ssl", "--ssl-cert", certs.cert, "--ssl-key", certs.key)
		talk(t, server, certs.clientURL(at.url("tls")))
	})
}

// TestServerEndsFirst has the server half-close before its client: what the client says
// from then on must still arrive.
func TestServerEndsFirst(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			server, at := socatServer(t, family.free(t), "-")
			client := start(t, tincan(t), "connect", at.url("tcp"))
			server.say("answer\n")
			server.end()
			client.hear("answer\n")
			client.say("one\n")
			server.hear("one\n")
			client.say("two\n")
			server.hear("one\ntwo\n")
			client.end()
			client.wantStatus(0)
			server.wantStatus(0)
		})
	}
}

// TestMessageServers talks to socat with tincan connect, over the families that keep
// messages apart.
func TestMessageServers(t *testing.T) {
	t.Run("udp", func(t *testing.T) {
		server := start(t, "socat", "-d", "-d", "UDP4-LISTEN:0,bind=127.0.0.1", "EXEC:cat")
		at := parseURL(t, "udp://"+server.await(server.err, socatReady))
		client := start(t, tincan(t), "connect", at.url("udp"))
		client.say("one\n")
		client.hear("one\n")
		client.say("two\n")
		client.hear("one\ntwo\n")
	})
	t.Run("unixpacket", func(t *testing.T) {
		path := socketPath(t)
		server := start(t, "socat", "-d", "-d", "UNIX-LISTEN:"+path+seqpacket, "EXEC:cat")
		server.await(server.err, socatReady)
		client := start(t, tincan(t), "connect", "unixpacket://"+path)
		client.say("one\n")
		client.hear("one\n")
		client.say("two\n")
		client.hear("one\ntwo\n")
		client.end()
		client.wantStatus(0)
	})
}
