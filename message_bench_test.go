//go:build unix

package tincan_test

import (
	"context"
	"net"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// barePair gives a connected pair of sockets of the standard library.
func barePair(tb testing.TB, network, addr string) (client, server net.Conn) {
	tb.Helper()
	if network == "unixpacket" {
		l, err := net.Listen(network, addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer l.Close()
		if client, err = net.Dial(network, addr); err != nil {
			tb.Fatal(err)
		}
		if server, err = l.Accept(); err != nil {
			tb.Fatal(err)
		}
	} else {
		local := func(s string) net.Addr {
			a, err := net.ResolveUDPAddr(network, s)
			if err != nil {
				tb.Fatal(err)
			}
			return a
		}
		first, err := net.ListenPacket(network, addr)
		if err != nil {
			tb.Fatal(err)
		}
		name := first.LocalAddr().String()
		if client, err = net.Dial(network, name); err != nil {
			tb.Fatal(err)
		}
		_ = first.Close()
		d := net.Dialer{LocalAddr: local(name)}
		if server, err = d.Dial(network, client.LocalAddr().String()); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// BenchmarkMessage sends a message of 64 bytes one way and reads it, on one
// goroutine: what is measured is the length of the path.
func BenchmarkMessage(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	msg, buf := make([]byte, 64), make([]byte, 2048)
	for _, network := range []string{"udp", "unixpacket"} {
		addr := func() string {
			if network == "udp" {
				return "127.0.0.1:0"
			}
			return filepath.Join(b.TempDir(), "s")
		}
		b.Run(network+"/net", func(b *testing.B) {
			client, server := barePair(b, network, addr())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(msg); err != nil {
					b.Fatal(err)
				}
				if _, err := server.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(network+"/tincan", func(b *testing.B) {
			client, server := connectedMessages(b, network, addr())
			b.ReportAllocs()
			for b.Loop() {
				if err := client.WriteMessage(ctx, msg); err != nil {
					b.Fatal(err)
				}
				if _, err := server.ReadMessage(ctx, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// connectedMessages gives two message connections, none of which is a flow.
func connectedMessages(tb testing.TB, network, addr string) (client, server tincan.MessageConn) {
	tb.Helper()
	dial := func(url string) tincan.MessageConn {
		c, err := tincan.DialMessage(tb.Context(), url)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		return c
	}
	if network == "udp" {
		first, err := net.ListenPacket(network, addr)
		if err != nil {
			tb.Fatal(err)
		}
		name := first.LocalAddr().String()
		client = dial("udp://" + name)
		_ = first.Close()
		return client, dial("udp://" + client.LocalAddr().String() + "?local=" + name)
	}
	l, err := tincan.ListenMessage(tb.Context(), network+":"+addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	client = dial(l.Addr().String())
	if server, err = l.Accept(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = server.Close() })
	return client, server
}

func TestMessageAllocations(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the standard library makes the calls here, and allocates addresses")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	msg, buf := make([]byte, 64), make([]byte, 2048)
	exchange := func(client, server tincan.MessageConn) func() {
		return func() {
			if err := client.WriteMessage(ctx, msg); err != nil {
				t.Fatal(err)
			}
			if _, err := server.ReadMessage(ctx, buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		if n := testing.AllocsPerRun(200, exchange(server, client)); n >= 1 {
			t.Errorf("server to client: %v allocations a message", n)
		}
		if n := testing.AllocsPerRun(200, exchange(client, server)); n >= 1 {
			t.Errorf("client to server: %v allocations a message", n)
		}
	})
}
