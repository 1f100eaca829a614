package tincan_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestAdopt: the address can be dialled, and the rules hold.
func TestAdopt(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		bound, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, 1)
		lc := &tincan.ListenConfig{Config: tincan.Config{
			Options: tincan.Options{MaxConns: 1},
			Trace:   &tincan.Trace{Refused: func(_, _ net.Addr, err error) { refused <- err }},
		}}
		ln := lc.Adopt(bound)
		accepted := make(chan net.Conn, 2)
		go func() {
			defer close(accepted)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		dial(t, ln.Addr().String())
		poke(t, ln.Addr().String())
		if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
			t.Errorf("%s: %v", network, err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		for c := range accepted {
			_ = c.Close()
		}
	}
}

// TestAdoptAddr: what is bound to every interface is told as such.
func TestAdoptAddr(t *testing.T) {
	bound, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	ln := (*tincan.ListenConfig)(nil).Adopt(bound)
	defer ln.Close()
	if e, ok := ln.Addr().(*tincan.Endpoint); !ok || e.Host != "*" {
		t.Errorf("the address is %v", ln.Addr())
	}
}

// TestAdoptMessage: the address can be dialled, messages pass, the rules hold, and a path isn't ours to remove.
func TestAdoptMessage(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no Unix sockets for messages")
	}
	type bound interface {
		syscall.Conn
		File() (*os.File, error)
		Close() error
	}
	for network, listen := range map[string]func(path string) (bound, error){
		"udp": func(string) (bound, error) { return net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) },
		"unixgram": func(path string) (bound, error) {
			return net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
		},
		"unixpacket": func(path string) (bound, error) {
			l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: path})
			if err == nil {
				l.SetUnlinkOnClose(false)
			}
			return l, err
		},
	} {
		t.Run(network, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			s, err := listen(path)
			if err != nil {
				if network == "unixpacket" && runtime.GOOS == "darwin" {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			refused := make(chan error, 1)
			lc := &tincan.ListenConfig{Config: tincan.Config{
				Options: tincan.Options{MaxConns: 1, MaxFlows: 1},
				Trace:   &tincan.Trace{Refused: func(_, _ net.Addr, err error) { refused <- err }},
			}}
			l, err := lc.AdoptMessage(s)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if e, ok := l.Addr().(*tincan.Endpoint); !ok || e.Scheme != network {
				t.Errorf("the address is %v", l.Addr())
			}
			client, server := messagePair(t, l)
			write(t, server, "answer")
			if got := read(t, client); got != "answer" {
				t.Errorf("got %q", got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			waited := make(chan error)
			go func() {
				_, err := l.Accept(ctx)
				waited <- err
			}()
			second := dialMessage(t, l.Addr().String())
			_ = second.WriteMessage(t.Context(), []byte("one too many")) // a connection may be refused already
			if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
				t.Errorf("refused with %v", err)
			}
			cancel()
			if err := <-waited; !errors.Is(err, context.Canceled) {
				t.Errorf("accepted, or %v", err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); network != "udp" && err != nil {
				t.Errorf("the path is gone: %v", err)
			}
		})
	}
}

// TestAdoptMessageRefuses: what isn't fit is refused, and left open.
func TestAdoptMessageRefuses(t *testing.T) {
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	stream, err := net.Dial("tcp", streams.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	bound, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	connected, err := net.Dial("udp", bound.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	listen := func(s syscall.Conn) error { _, err := (*tincan.ListenConfig)(nil).AdoptMessage(s); return err }
	wantOpError(t, listen(streams.(*net.TCPListener)), "listen", errors.ErrUnsupported)
	wantOpError(t, listen(stream.(*net.TCPConn)), "listen", errors.ErrUnsupported)
	wantOpError(t, listen(connected.(*net.UDPConn)), "listen", syscall.EISCONN)
	for c, want := range map[net.Conn]error{stream: errors.ErrUnsupported, bound: syscall.ENOTCONN} {
		_, err := tincan.AdoptMessageConn(c)
		wantOpError(t, err, "dial", want)
	}
	if _, err := connected.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, _, err := bound.ReadFrom(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
