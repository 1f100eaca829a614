package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

// accepting listens for connections with headers.
func accepting(t *testing.T, endpoint string, a relay.AcceptHeader) *tincan.Listener {
	t.Helper()
	lc := &tincan.ListenConfig{}
	a.AddTo(&lc.Config)
	l, err := lc.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// meet dials l and gives both ends.
func meet(t *testing.T, d *tincan.Dialer, l *tincan.Listener) (client, server net.Conn) {
	t.Helper()
	client, err := d.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept() // never waits for the header
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

var headers = map[string]struct{ header, remote, local string }{
	"v1 TCP4":    {"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1:56324", "192.0.2.2:443"},
	"v1 TCP6":    {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1", "[::1]:2"},
	"v1 UNKNOWN": {"PROXY UNKNOWN\r\n", "", ""},
	"v1 long":    {"PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n", "", ""},
	"v2 TCP4":    {v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb", "192.0.2.1:56324", "192.0.2.2:443"},
	"v2 TLV":     {v2 + "\x21\x11\x00\x12\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb\x02\x00\x03a.b", "192.0.2.1:56324", "192.0.2.2:443"},
	"v2 TCP6":    {v2 + "\x21\x21\x00\x24" + strings.Repeat("\x20\x01", 8) + strings.Repeat("\x20\x02", 8) + "\x00\x01\x00\x02", "[2001:2001:2001:2001:2001:2001:2001:2001]:1", "[2002:2002:2002:2002:2002:2002:2002:2002]:2"},
	"v2 LOCAL":   {v2 + "\x20\x00\x00\x00", "", ""},
	"v2 Unix":    {v2 + "\x21\x31\x00\xd8" + "/a" + strings.Repeat("\x00", 106) + "/b" + strings.Repeat("\x00", 106), "/a", "/b"},
}

// TestAcceptHeader: whole, and cut at every byte, with the client's first bytes right behind.
func TestAcceptHeader(t *testing.T) {
	l := accepting(t, "tcp://127.0.0.1:0", relay.AcceptHeader{})
	for name, tt := range headers {
		t.Run(name, func(t *testing.T) {
			for cut := range len(tt.header) {
				client, server := meet(t, nil, l)
				whole := tt.header + "hello"
				if _, err := io.WriteString(client, whole[:cut]); err != nil {
					t.Fatal(err)
				}
				shaken := make(chan error, 1)
				go func() { shaken <- tincan.Handshake(t.Context(), server) }()
				if _, err := io.WriteString(client, whole[cut:]); err != nil {
					t.Fatal(err)
				}
				if err := <-shaken; err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				remote, local := tt.remote, tt.local
				if remote == "" {
					remote, local = client.LocalAddr().String(), client.RemoteAddr().String()
				}
				if server.RemoteAddr().String() != remote || server.LocalAddr().String() != local {
					t.Fatalf("from %v to %v, want from %s to %s", server.RemoteAddr(), server.LocalAddr(), remote, local)
				}
				sayAndHear(t, server, "", "hello")
				sayAndHear(t, server, "reply", "")
				sayAndHear(t, client, "", "reply")
				_ = client.Close()
				_ = server.Close()
			}
		})
	}
}

func TestHeaderRefused(t *testing.T) {
	for name, said := range map[string]string{
		"none":          "GET / HTTP/1.1\r\n\r\n",
		"one byte":      "x",
		"v1 no address": "PROXY TCP4\r\n" + strings.Repeat("x", 100),
		"v1 bad":        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 99999\r\n",
		"v1 endless":    "PROXY UNKNOWN " + strings.Repeat("x", 200),
		"v2 version":    v2 + "\x31\x11\x00\x0c" + strings.Repeat("x", 12),
		"v2 short":      v2 + "\x21\x11\x00\x01x",
		"v2 huge":       v2 + "\x21\x11\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			l := accepting(t, "tcp://127.0.0.1:0", relay.AcceptHeader{})
			client, server := meet(t, nil, l)
			sayAndHear(t, client, said, "")
			_, err := server.Read(make([]byte, 1))
			var refused *tincan.HandshakeError
			if !errors.As(err, &refused) || refused.Layer != "proxy" || tincan.KindOf(err) != tincan.KindDenied {
				t.Errorf("got %v, of kind %v", err, tincan.KindOf(err))
			}
			_ = client.SetReadDeadline(time.Now().Add(patience))
			if _, err := client.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("the client finds %v, want a reset", err)
			}
		})
	}
}

// TestHeaderWait: who sends no header holds up nobody, and is given up; ctx and a read deadline end the wait too.
func TestHeaderWait(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout time.Duration
		wait    func(t *testing.T, c net.Conn) error
	}{
		"timeout": {time.Second, func(_ *testing.T, c net.Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		"ctx": {time.Hour, func(t *testing.T, c net.Conn) error {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return tincan.Handshake(ctx, c)
		}},
		"deadline": {time.Hour, func(t *testing.T, c net.Conn) error {
			if err := c.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			_, err := c.Write([]byte("x"))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := accepting(t, "tcp://127.0.0.1:0", relay.AcceptHeader{Timeout: tt.timeout})
			silent, server := meet(t, nil, l)
			honest, other := meet(t, nil, l)
			sayAndHear(t, honest, "PROXY UNKNOWN\r\nhello", "")
			sayAndHear(t, other, "", "hello")
			sayAndHear(t, silent, "PROXY UNK", "")
			if err := tt.wait(t, server); tincan.KindOf(err) != tincan.KindTimeout {
				t.Errorf("got %v, of kind %v", err, tincan.KindOf(err))
			}
		})
	}
}

// TestHeaderDeadline: a caller's deadline outlives the header's.
func TestHeaderDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, below := net.Pipe()
		defer client.Close()
		server := (&relay.AcceptHeader{}).Conn(below, nil)
		defer server.Close()
		start := time.Now()
		if err := server.SetReadDeadline(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(client, "PROXY UNKNOWN\r\n") }()
		if err := tincan.Handshake(t.Context(), server); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestHeaderRules: the rules of the endpoint hold, for the proxy.
func TestHeaderRules(t *testing.T) {
	l := accepting(t, "tcp://127.0.0.1:0?max-conns-per-source=1", relay.AcceptHeader{})
	client, server := meet(t, nil, l)
	sayAndHear(t, client, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello", "")
	sayAndHear(t, server, "", "hello")
	second, err := tincan.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Errorf("accepted %v", c.RemoteAddr())
		}
	}()
	if _, err := second.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("got %v, want a reset", err)
	}
	_ = l.Close()
}

// chain relays what comes on a new listener to target, and gives its endpoint.
func chain(t *testing.T, listen string, accept bool, version int, target string) string {
	t.Helper()
	to, err := tincan.ParseEndpoint(target)
	if err != nil {
		t.Fatal(err)
	}
	var lc tincan.ListenConfig
	if accept {
		relay.AcceptHeader{}.AddTo(&lc.Config)
	}
	l, err := lc.Listen(t.Context(), listen)
	if err != nil {
		t.Fatal(err)
	}
	f := &relay.Forwarder{Targets: []*tincan.Endpoint{to}, Dialer: &tincan.Dialer{}}
	if version != 0 {
		relay.SendHeader{Version: version}.AddTo(&f.Dialer.Config)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&service.Server{Drain: -1}).Serve(ctx, l, f.Stream) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestHeaderChain: two relays, the second of which sends on what the first has said. Where the
// first can't say it, the second knows no better than that it is the first.
func TestHeaderChain(t *testing.T) {
	tcp, unix := "tcp://127.0.0.1:0", "unix:"+filepath.Join(t.TempDir(), "s")
	for i, tt := range []struct {
		first, second string
		v1, v2        int
		remote, local string // empty: the client's own
	}{
		{tcp, tcp, 1, 2, "", ""},
		{tcp, tcp, 2, 1, "", ""},
		{tcp, unix, 2, 2, "", ""},
		{unix + "1", tcp, 2, 2, "unix", unix + "1"},
		{unix + "2", tcp, 1, 2, "tcp", ""},
		{unix + "3", unix, 1, 1, "end's", ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			end := accepting(t, tcp, relay.AcceptHeader{})
			first := chain(t, tt.first, false, tt.v1, chain(t, tt.second, true, tt.v2, end.Addr().String()))
			if tt.remote == "" {
				checkPassedOn(t, first, end)
				return
			}
			client, err := tincan.Dial(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := end.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			sayAndHear(t, client, "hello", "")
			sayAndHear(t, server, "", "hello")
			remote, local := server.RemoteAddr(), server.LocalAddr()
			switch tt.remote {
			case "unix":
				if remote.Network() != "unix" || "unix:"+local.String() != tt.local {
					t.Errorf("from %v to %v, want from Unix to %s", remote, local, tt.local)
				}
			case "tcp":
				if remote.Network() != "tcp" || local.Network() != "tcp" || "tcp://"+local.String() == end.Addr().String() {
					t.Errorf("from %v to %v, want what the second relay saw", remote, local)
				}
			default:
				if "tcp://"+local.String() != end.Addr().String() {
					t.Errorf("to %v, want %v", local, end.Addr())
				}
			}
		})
	}
}

// TestHAProxy passes an address through the program whose protocol it is, each version each way.
func TestHAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // not in everyone's PATH
	}
	for version, send := range map[int]string{1: "send-proxy-v2", 2: "send-proxy"} {
		t.Run(send, func(t *testing.T) {
			end := accepting(t, "tcp://127.0.0.1:0", relay.AcceptHeader{})
			addr, _ := reservePort(t)
			config := filepath.Join(t.TempDir(), "haproxy.cfg")
			text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\nlisten relay\n bind %s accept-proxy\n server s %s %s\n",
				addr, strings.TrimPrefix(end.Addr().String(), "tcp://"), send)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			startPeer(t, addr, program, "-db", "-f", config)
			first := chain(t, "tcp://127.0.0.1:0", false, version, "tcp://"+addr)
			checkPassedOn(t, first, end)
		})
	}
}

// checkPassedOn says something to first, and finds at end who said it.
func checkPassedOn(t *testing.T, first string, end *tincan.Listener) {
	t.Helper()
	client, err := tincan.Dial(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sayAndHear(t, client, "hello", "")
	for {
		server, err := end.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if tincan.Handshake(t.Context(), server) != nil {
			_ = server.Close() // whether a proxy listens there was tried out
			continue
		}
		defer server.Close()
		sayAndHear(t, server, "", "hello")
		sayAndHear(t, server, "reply", "")
		sayAndHear(t, client, "", "reply")
		if server.RemoteAddr().String() != client.LocalAddr().String() || server.LocalAddr().String() != client.RemoteAddr().String() {
			t.Errorf("passed on as from %v to %v; it is from %v to %v", server.RemoteAddr(), server.LocalAddr(), client.LocalAddr(), client.RemoteAddr())
		}
		return
	}
}

// TestCurl accepts the header of another client.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l := accepting(t, "tcp://127.0.0.1:0", relay.AcceptHeader{})
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = tincan.Handshake(t.Context(), c)
		}
		if err == nil {
			body := c.RemoteAddr().String()
			_, err = fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}
		served <- err
	}()
	out, err := exec.CommandContext(t.Context(), curl, "-sS", "--haproxy-protocol", "http://"+strings.TrimPrefix(l.Addr().String(), "tcp://")).CombinedOutput()
	if err != nil {
		t.Errorf("curl: %v: %s", err, out)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if addr, err := netip.ParseAddrPort(string(out)); err != nil || addr.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("curl got %q", out)
	}
}
