package tincan_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
)

// fixed gives an endpoint with a free port, or a name that the test before has released.
func fixed(url string) func(*testing.T) string { return func(*testing.T) string { return url } }

// inTempDir gives an endpoint on a path of its own, which is short: t.TempDir has the test's name in it.
func inTempDir(scheme string) func(*testing.T) string {
	return func(t *testing.T) string {
		dir, err := os.MkdirTemp("", "tc")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return scheme + "://" + filepath.Join(dir, "s")
	}
}

var (
	onUnix       = []string{"linux", "darwin", "freebsd"}
	hasSeqpacket = []string{"linux", "freebsd"}
	onLinux      = []string{"linux"}
)

// TestStreamTransports holds every built-in stream transport to the kit, and to nettest.
func TestStreamTransports(t *testing.T) {
	tls := tlsFixture(t)
	for _, tt := range []struct {
		name    string
		systems []string // nil for all
		nettest bool     // which wants writing to go on after a timeout; a TLS record that was cut can't
		fixture tincantest.StreamFixture
	}{
		{"mem", nil, true, tincantest.StreamFixture{Endpoint: fixed("mem:transports")}},
		{"tcp", nil, true, tincantest.StreamFixture{Endpoint: fixed("tcp://:0")}},
		{"tcp4", nil, true, tincantest.StreamFixture{Endpoint: fixed("tcp4://:0")}},
		{"tcp6", nil, true, tincantest.StreamFixture{Endpoint: fixed("tcp6://:0")}},
		{"tcp counted", nil, true, tincantest.StreamFixture{Endpoint: fixed("tcp4://:0?max-conns=100&no-delay=false")}},
		{"unix", nil, true, tincantest.StreamFixture{Endpoint: inTempDir("unix"), NoAbort: true}},
		{"unix abstract", onLinux, true, tincantest.StreamFixture{Endpoint: fixed(fmt.Sprintf("unix:@tincan-test-%d", os.Getpid())), NoAbort: true}},
		{"tls+tcp", nil, false, tls(fixed("tls+tcp://127.0.0.1:0"), tincantest.StreamFixture{NoCloseRead: true})},
		{"tls+unix", nil, false, tls(inTempDir("tls+unix"), tincantest.StreamFixture{NoCloseRead: true, NoAbort: true})},
	} {
		if tt.systems != nil && !slices.Contains(tt.systems, runtime.GOOS) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			needIPv6(t, tt.name)
			tincantest.TestStream(t, tt.fixture)
			if tt.nettest {
				t.Run("nettest", func(t *testing.T) {
					nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) { return pipe(t, tt.fixture) })
				})
			}
		})
	}
}

// needIPv6 skips the test of a scheme that a host without IPv6 can't open.
func needIPv6(t *testing.T, scheme string) {
	if strings.HasSuffix(scheme, "6") && !nettest.SupportsIPv6() {
		t.Skip("this host has no IPv6")
	}
}

// pipe is a [nettest.MakePipe].
func pipe(t *testing.T, f tincantest.StreamFixture) (client, server net.Conn, stop func(), err error) {
	ctx := context.Background()
	l, err := f.ListenConfig.Listen(ctx, f.Endpoint(t))
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	if client, err = f.Dialer.Dial(ctx, l.Addr().String()); err != nil {
		return nil, nil, nil, err
	}
	if server, err = l.Accept(); err != nil {
		_ = client.Close()
		return nil, nil, nil, err
	}
	return client, server, func() { _ = client.Close(); _ = server.Close() }, nil
}

// tlsFixture gives what completes a fixture with a certificate and the trust in it.
func tlsFixture(t *testing.T) func(endpoint func(*testing.T) string, f tincantest.StreamFixture) tincantest.StreamFixture {
	a := newAuthority(t)
	query := a.issue("localhost", time.Now().Add(time.Hour))
	return func(endpoint func(*testing.T) string, f tincantest.StreamFixture) tincantest.StreamFixture {
		f.Endpoint = func(t *testing.T) string { return endpoint(t) + "?" + query }
		f.Dialer = &tincan.Dialer{Config: tincan.Config{Options: tincan.Options{CA: a.ca, ServerName: "localhost"}}}
		return f
	}
}

// TestMessageTransports holds every built-in message transport to the kit.
func TestMessageTransports(t *testing.T) {
	for _, tt := range []struct {
		name    string
		systems []string
		fixture tincantest.MessageFixture
	}{
		{"mem", nil, tincantest.MessageFixture{Endpoint: fixed("mem:transports"), MaxMessage: tincan.DefaultMaxMessage}},
		{"udp", nil, datagrams(fixed("udp://:0"), 65507)},
		{"udp4", nil, datagrams(fixed("udp4://:0"), 65507)},
		{"udp6", nil, datagrams(fixed("udp6://:0"), 65507)},
		{"unixgram", onUnix, datagrams(inTempDir("unixgram"), 0)},
		{"unixpacket", hasSeqpacket, tincantest.MessageFixture{Endpoint: inTempDir("unixpacket"), NoAbort: true}},
	} {
		if tt.systems != nil && !slices.Contains(tt.systems, runtime.GOOS) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			needIPv6(t, tt.name)
			tincantest.TestMessages(t, tt.fixture)
		})
	}
}

func datagrams(endpoint func(*testing.T) string, longest int) tincantest.MessageFixture {
	return tincantest.MessageFixture{Endpoint: endpoint, MaxMessage: longest, Datagrams: true, NoCloseWrite: true, NoCloseRead: true, NoAbort: true}
}
