package tincan_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan"
)

func TestUDPRefused(t *testing.T) {
	for _, scheme := range []string{"udp", "udp4", "udp6"} {
		t.Run(scheme, func(t *testing.T) {
			l := listenMessage(t, nil, scheme+"://:0")
			url := l.Addr().String()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			c := dialMessage(t, url)
			write(t, c, "anyone?")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := c.ReadMessage(ctx, make([]byte, 8))
			wantOpError(t, err, "read", syscall.ECONNREFUSED)
			if tincan.KindOf(err) != tincan.KindConnect {
				t.Errorf("kind of %v is %v", err, tincan.KindOf(err))
			}
		})
	}
}

func TestUDPAllow(t *testing.T) {
	refused := make(chan error, 16)
	lc := &tincan.ListenConfig{}
	lc.Trace = &tincan.Trace{Refused: func(_, remote net.Addr, err error) {
		if remote.Network() != "udp" {
			t.Errorf("refused %v", remote)
		}
		refused <- err
	}}
	for _, tt := range []struct {
		name  string
		serve bool
	}{{"flows", false}, {"serve", true}} {
		t.Run(tt.name, func(t *testing.T) {
			for _, rule := range []string{"127.0.0.0/8", "192.0.2.0/24,::1"} {
				l := listenMessage(t, lc, "udp://*:0?allow="+rule)
				c := dialMessage(t, l.Addr().String())
				write(t, c, "in?")
				var group sync.WaitGroup
				group.Go(func() {
					if tt.serve {
						_ = tincan.ServeDatagrams(t.Context(), l, func(d *tincan.Datagram) []byte { return d.Payload })
						return
					}
					if s, err := l.Accept(t.Context()); err == nil {
						_ = s.WriteMessage(t.Context(), []byte("in?"))
					}
				})
				if rule == "127.0.0.0/8" {
					if got := read(t, c); got != "in?" {
						t.Errorf("got %q", got)
					}
				} else if err := <-refused; !errors.Is(err, tincan.ErrNotAllowed) {
					t.Errorf("refused by %v", err)
				}
				_ = l.Close()
				group.Wait()
			}
		})
	}
}

// A reply from a socket that is bound to every interface must leave from the
// address that was asked, or the asker, whose socket is connected, never sees it.
func TestUDPReplySource(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is an address of the loopback interface on Linux alone")
	}
	for _, scheme := range []string{"udp", "udp4"} {
		for _, serve := range []bool{false, true} {
			t.Run(fmt.Sprint(scheme, serve), func(t *testing.T) {
				l := listenMessage(t, nil, scheme+"://*:0")
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				defer group.Wait()
				defer cancel()
				port := l.Addr().(*tincan.Endpoint).Port
				group.Go(func() {
					if serve {
						_ = tincan.ServeDatagrams(ctx, l, func(d *tincan.Datagram) []byte { return d.Payload })
						return
					}
					for range 2 {
						c, err := l.Accept(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						buf := make([]byte, 64)
						n, _ := c.ReadMessage(ctx, buf)
						if want := string(buf[:n]) + ":" + port; c.LocalAddr().String() != want {
							t.Errorf("local address %v, want %v", c.LocalAddr(), want)
						}
						_ = c.WriteMessage(ctx, buf[:n])
					}
				})
				// Both from one port, so that only the address of ours tells them apart.
				local := "127.0.0.1:0"
				for _, host := range []string{"127.0.0.2", "127.0.0.3"} {
					c := dialMessage(t, scheme+"://"+host+":"+port+"?local="+local)
					local = c.LocalAddr().String()
					write(t, c, host)
					if got := read(t, c); got != host {
						t.Errorf("got %q", got)
					}
					_ = c.Close()
				}
			})
		}
	}
}

func TestUDPLocalWrong(t *testing.T) {
	_, err := tincan.DialMessage(t.Context(), "udp://:9?local=nowhere")
	if tincan.KindOf(err) != tincan.KindUsage {
		t.Errorf("got %v", err)
	}
}

func TestUDPBothLoopbacks(t *testing.T) {
	l := listenMessage(t, nil, "udp://:0")
	port := l.Addr().(*tincan.Endpoint).Port
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		c := dialMessage(t, "udp://"+host+":"+port)
		write(t, c, host)
		s := accept(t, l)
		if got := read(t, s); got != host {
			t.Errorf("got %q from %v", got, s.RemoteAddr())
		}
		if s.RemoteAddr().String() != c.LocalAddr().String() || s.LocalAddr().String() != c.RemoteAddr().String() {
			t.Errorf("server %v-%v, client %v-%v", s.LocalAddr(), s.RemoteAddr(), c.LocalAddr(), c.RemoteAddr())
		}
	}
	if _, err := tincan.ListenMessage(t.Context(), "udp://:"+port); tincan.KindOf(err) != tincan.KindBind {
		t.Errorf("a busy port: %v", err)
	}
}

func TestMaxFlows(t *testing.T) {
	refused := make(chan error, 16)
	lc := &tincan.ListenConfig{}
	lc.Trace = &tincan.Trace{Refused: func(_, _ net.Addr, err error) { refused <- err }}
	l := listenMessage(t, lc, "udp://127.0.0.1:0?max-flows=2")
	_, first := messagePair(t, l)
	messagePair(t, l)
	third := dialMessage(t, l.Addr().String())
	write(t, third, "no room")
	if err := <-refused; !errors.Is(err, tincan.ErrTooManyConns) {
		t.Fatalf("refused by %v", err)
	}
	_ = first.Close()
	write(t, third, "room")
	if got := read(t, accept(t, l)); got != "room" {
		t.Errorf("got %q", got)
	}
}
