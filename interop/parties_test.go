//go:build linux

package interop

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An address is where a server listens: a host and port, or the path of a Unix socket.
type address struct{ host, port, path string }

func tcpAt(port string) address { return address{host: "127.0.0.1", port: port} }

// words is the address as our peers take it on their command lines.
func (a address) words() []string {
	if a.path != "" {
		return []string{a.path}
	}
	return []string{a.host, a.port}
}

// url is the address as tincan takes it.
func (a address) url(scheme string) string {
	if a.path != "" {
		return "unix://" + a.path
	}
	host := a.host
	if host == "::" {
		return scheme + "://*:" + a.port
	}
	return scheme + "://" + net.JoinHostPort(host, a.port)
}

// dial connects the test itself to a stream address.
func (a address) dial(t *testing.T) net.Conn {
	t.Helper()
	network, addr := "tcp", net.JoinHostPort(a.host, a.port)
	if a.path != "" {
		network, addr = "unix", a.path
	}
	c, err := net.DialTimeout(network, addr, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	setDeadline(t, c)
	return c
}

// socketPath is a short path, as a Unix address holds 108 bytes at most and the name
// of a test's own folder may be longer.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ti-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// families are the stream addresses that every system here is tried on.
var families = []struct {
	name string
	free func(*testing.T) address // an address to listen on
}{
	{"tcp", func(*testing.T) address { return tcpAt("0") }},
	{"unix", func(t *testing.T) address { return address{path: socketPath(t)} }},
}

// A party is one implementation of both sides of every system. Its functions return
// command lines, but for serve, which starts a server and returns where it listens.
type party struct {
	name  string
	serve func(t *testing.T, system string, at address) address
	// stream copies its input to a server, half-closes, and prints what comes back.
	stream func(t *testing.T, at address) []string
	// increment sends A; its input is incrementIn, and it prints incrementOut.
	increment                 func(t *testing.T, at address) []string
	incrementIn, incrementOut string
	// calc prints calcOut before the result. Where refused is not 0 it is the status
	// that tells a closed port.
	calc    func(t *testing.T, at address, asString bool, op string, integers ...string) []string
	calcOut string
	refused int
}

// parties are ours in three languages, and tincan.
var parties = []party{
	peer("c", func(t *testing.T, program string) []string {
		return []string{filepath.Join(builtC(t), program)}
	}),
	peer("java", func(t *testing.T, program string) []string {
		// These runs are short: start quickly rather than run fast.
		return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", builtJava(t), className(program)}
	}),
	peer("python", func(_ *testing.T, program string) []string {
		return []string{"python3", filepath.Join("python", program+".py")}
	}),
	{
		name: "tincan",
		serve: func(t *testing.T, system string, at address) address {
			t.Helper()
			scheme := "tcp"
			if system == "calc" {
				scheme = "udp"
			}
			return parseURL(t, serveTincan(t, system, at.url(scheme)))
		},
		stream: func(t *testing.T, at address) []string {
			return []string{tincan(t), "connect", at.url("tcp")}
		},
		increment: func(t *testing.T, at address) []string {
			return []string{tincan(t), "connect", at.url("tcp")}
		},
		incrementIn:  "A",
		incrementOut: "B",
		calc: func(t *testing.T, at address, asString bool, op string, integers ...string) []string {
			argv := []string{tincan(t), "calc"}
			if asString {
				argv = append(argv, "--string")
			}
			return append(append(argv, op, at.url("udp")), integers...)
		},
		refused: 3,
	},
}

var listening = regexp.MustCompile(`listening on (\S+)\s`)

// peer is a party of our own, whose program is found by its name.
func peer(name string, program func(t *testing.T, name string) []string) party {
	words := func(t *testing.T, name string, at address) []string {
		t.Helper()
		return append(program(t, name), at.words()...)
	}
	return party{
		name: name,
		serve: func(t *testing.T, system string, at address) address {
			t.Helper()
			p := start(t, words(t, system+"_server", at)...)
			where := p.await(p.out, listening)
			if at.path == "" {
				at.port = where
			}
			return at
		},
		stream: func(t *testing.T, at address) []string { return words(t, "echo_client", at) },
		increment: func(t *testing.T, at address) []string {
			return words(t, "increment_client", at)
		},
		incrementOut: "char from server = B\n",
		calc: func(t *testing.T, at address, asString bool, op string, integers ...string) []string {
			argv := program(t, "calc_client")
			if asString {
				argv = append(argv, "-s")
			}
			return append(append(append(argv, op), at.words()...), integers...)
		},
		calcOut: "Result: ",
	}
}

// serveTincan starts tincan serve and returns the URL it listens on. At the test's end
// the server must leave with status 0 when it is asked to.
func serveTincan(t *testing.T, service, endpoint string) string {
	t.Helper()
	p := start(t, tincan(t), "serve", service, endpoint)
	t.Cleanup(func() {
		p.terminate()
		if status := p.status(); status != 0 {
			t.Errorf("%s: %v after SIGTERM, want status 0; stderr %q", p, p.cmd.ProcessState, p.err)
		}
	})
	return p.await(p.err, listening)
}

// parseURL takes an address out of a URL of tincan's.
func parseURL(t *testing.T, raw string) address {
	t.Helper()
	if scheme, path, _ := strings.Cut(raw, ":"); strings.HasPrefix(scheme, "unix") {
		path, _, _ = strings.Cut(strings.TrimPrefix(path, "//"), "?")
		return address{path: path}
	}
	u, err := url.Parse(strings.Replace(raw, "//*:", "//[::]:", 1))
	if err != nil {
		t.Fatal(err)
	}
	return address{host: u.Hostname(), port: u.Port()}
}

// everyPair runs test for every server, and every client of it.
func everyPair(t *testing.T, system string, free func(*testing.T) address,
	test func(t *testing.T, client, server party, at address),
) {
	for _, server := range parties {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			at := server.serve(t, system, free(t))
			for _, client := range parties {
				t.Run("from "+client.name, func(t *testing.T) { test(t, client, server, at) })
			}
		})
	}
}
