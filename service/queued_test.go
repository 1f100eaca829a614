//go:build unix

package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// A heldListener gives connections only once it is released.
type heldListener struct {
	*tincan.Listener
	release chan struct{}
}

func (l *heldListener) Accept() (net.Conn, error) {
	<-l.release
	return l.Listener.Accept()
}

// queue connects n clients, each of which sends its number and ends its sending.
func queue(t *testing.T, n int, url string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial(t, url)
		if _, err := fmt.Fprintf(conns[i], "client %d", i); err != nil {
			t.Fatal(err)
		}
		if err := tincan.CloseWrite(conns[i]); err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// echoed reads what each client is answered, and gives how many were served and how many were reset.
func echoed(t *testing.T, conns []net.Conn) (served, reset int) {
	t.Helper()
	for i, c := range conns {
		got, err := io.ReadAll(c)
		switch {
		case err == nil && string(got) == fmt.Sprintf("client %d", i):
			served++
		case tincan.KindOf(err) == tincan.KindReset:
			reset++
		default:
			t.Errorf("client %d got %q, %v", i, got, err)
		}
	}
	return served, reset
}

// Who has connected and sent before the drain begins is served, though none was accepted yet; and the drain does not wait for more.
func TestDrainServesWhoIsQueued(t *testing.T) {
	const clients = 200
	for _, endpoint := range []string{
		"tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://:0", "tcp://127.0.0.1:0?no-delay=false", "unix://" + filepath.Join(t.TempDir(), "s"),
	} {
		t.Run(endpoint, func(t *testing.T) {
			l, err := tincan.Listen(t.Context(), endpoint)
			if err != nil {
				t.Fatal(err)
			}
			held := &heldListener{l, make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- (&service.Server{}).Serve(ctx, held, lookup(t, "echo").Stream) }()
			conns := queue(t, clients, l.Addr().String())
			cancel()
			close(held.release)
			if served, reset := echoed(t, conns); served != clients {
				t.Errorf("%d were served and %d reset, of %d", served, reset, clients)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
			if c, err := tincan.Dial(t.Context(), l.Addr().String()); err == nil {
				c.Close()
				t.Error("a newcomer is accepted after the drain")
			}
		})
	}
}

// Rules hold for those in the queue as for others.
func TestDrainKeepsTheRules(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		slots, want   int
	}{
		{"max-conns", "?max-conns=3", 0, 3},
		{"allow", "?allow=192.0.2.0/24", 0, 0},
		{"slots", "", 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0"+tt.options)
			if err != nil {
				t.Fatal(err)
			}
			held := &heldListener{l, make(chan struct{})}
			server, accepted := &service.Server{}, make(chan struct{})
			if tt.slots > 0 {
				server.Slots = make(chan struct{}, tt.slots)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() {
				served <- server.Serve(ctx, held, func(_ context.Context, c net.Conn) error {
					<-accepted
					_, err := io.Copy(c, c)
					return err
				})
			}()
			conns := queue(t, 20, l.Addr().String())
			cancel()
			close(held.release)
			if _, err := conns[len(conns)-1].Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("the last gets %v, want a reset", err)
			}
			close(accepted)
			if n, reset := echoed(t, conns[:len(conns)-1]); n != tt.want || n+reset != len(conns)-1 {
				t.Errorf("%d were served, want %d", n, tt.want)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

// Message connections wait in the queue as streams do.
func TestDrainAnswersWhoIsQueued(t *testing.T) {
	for _, endpoint := range queuedMessages(t) {
		t.Run(endpoint, func(t *testing.T) {
			const clients = 50
			l, err := tincan.ListenMessage(t.Context(), endpoint)
			if err != nil {
				t.Fatal(err)
			}
			held := &heldMessages{l, make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() {
				served <- (&service.Server{}).ServeMessages(ctx, held, func(_ context.Context, request []byte) ([]byte, error) { return request, nil })
			}()
			conns := make([]tincan.MessageConn, clients)
			for i := range conns {
				conns[i] = dialMessage(t, l.Addr().String())
				if err := conns[i].WriteMessage(t.Context(), []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			close(held.release)
			for i, c := range conns {
				buf := make([]byte, 10)
				if n, err := c.ReadMessage(t.Context(), buf); err != nil || n != 1 || buf[0] != byte(i) {
					t.Fatalf("client %d got %v, %v", i, buf[:n], err)
				}
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

type heldMessages struct {
	tincan.MessageListener
	release chan struct{}
}

func (l *heldMessages) Accept(ctx context.Context) (tincan.MessageConn, error) {
	<-l.release
	return l.MessageListener.Accept(ctx)
}

func (l *heldMessages) Drain() error { return tincan.Drain(l.MessageListener) }

// A drain without clients is over at once.
func TestDrainWaitsForNobody(t *testing.T) {
	for _, endpoint := range []string{"tcp://127.0.0.1:0", "tcp://:0", "unix://" + filepath.Join(t.TempDir(), "s")} {
		_, end := serve(t, nil, endpoint, lookup(t, "echo").Stream)
		start := time.Now()
		end()
		if took := time.Since(start); took > service.DefaultDrain/2 {
			t.Errorf("%s: it took %v", endpoint, took)
		}
	}
}

// queuedMessages are the endpoints whose message connections the system queues.
func queuedMessages(t *testing.T) []string {
	if runtime.GOOS == "darwin" {
		return nil
	}
	return []string{"unixpacket://" + filepath.Join(t.TempDir(), "p")}
}
