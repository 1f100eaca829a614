package tincan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// messageEndpoints are one endpoint to listen on for each message scheme of the root package.
func messageEndpoints(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	m := map[string]string{
		"udp":      "udp://127.0.0.1:0",
		"udp both": "udp://:0",
		"udp any":  "udp://*:0",
		"udp4":     "udp4://:0",
		"udp6":     "udp6://:0",
	}
	if runtime.GOOS != "windows" {
		m["unixgram"] = "unixgram:" + filepath.Join(dir, "g")
	}
	if runtime.GOOS == "linux" {
		name := strings.NewReplacer("/", "-").Replace(t.Name()) + fmt.Sprint(time.Now().UnixNano())
		m["unixgram abstract"] = "unixgram:@g" + name
		m["unixpacket abstract"] = "unixpacket:@p" + name
		m["unixpacket"] = "unixpacket:" + filepath.Join(dir, "p")
	}
	return m
}

// eachMessageEndpoint runs f for each message scheme.
func eachMessageEndpoint(t *testing.T, f func(t *testing.T, l tincan.MessageListener)) {
	t.Helper()
	for name, endpoint := range messageEndpoints(t) {
		t.Run(name, func(t *testing.T) { f(t, listenMessage(t, nil, endpoint)) })
	}
}

func listenMessage(t *testing.T, lc *tincan.ListenConfig, endpoint string) tincan.MessageListener {
	t.Helper()
	l, err := lc.ListenMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dialMessage(t *testing.T, endpoint string) tincan.MessageConn {
	t.Helper()
	c, err := tincan.DialMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func accept(t *testing.T, l tincan.MessageListener) tincan.MessageConn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// messagePair gives two ends of one connection, after a message from the client that was read.
func messagePair(t *testing.T, l tincan.MessageListener) (client, server tincan.MessageConn) {
	t.Helper()
	client = dialMessage(t, l.Addr().String())
	write(t, client, "hello")
	server = accept(t, l)
	if got := read(t, server); got != "hello" {
		t.Fatalf("first message: %q", got)
	}
	return client, server
}

func write(t *testing.T, c tincan.MessageConn, msg string) {
	t.Helper()
	if err := c.WriteMessage(t.Context(), []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c tincan.MessageConn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	buf := make([]byte, 1<<19)
	n, err := c.ReadMessage(ctx, buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// wantOpError checks that err is a net.OpError of op that wraps want.
func wantOpError(t *testing.T, err error, op string, want error) {
	t.Helper()
	var opErr *net.OpError
	if !errors.Is(err, want) || !errors.As(err, &opErr) || opErr.Op != op {
		t.Fatalf("got %v (%T), want a net.OpError of %q with %v", err, err, op, want)
	}
}

func TestMessageBoundaries(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, d := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
			sent := []string{"a", "", "b", "", "", strings.Repeat("c", 60_000), ""}
			for _, m := range sent {
				write(t, d.from, m)
			}
			for i, want := range sent {
				if got := read(t, d.to); got != want {
					t.Fatalf("message %d has %d bytes, want %d", i, len(got), len(want))
				}
			}
		}
	})
}

// An empty message must be read into no buffer at all too, and be the first of a peer.
func TestMessageEmptyFirst(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client := dialMessage(t, l.Addr().String())
		write(t, client, "")
		server := accept(t, l)
		if n, err := server.ReadMessage(t.Context(), nil); n != 0 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
		if err := server.WriteMessage(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n, err := client.ReadMessage(t.Context(), nil); n != 0 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	})
}

func TestMessageShortBuffer(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, d := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
			for _, size := range []int{0, 3} {
				write(t, d.from, "long")
				_, err := d.to.ReadMessage(t.Context(), make([]byte, size))
				wantOpError(t, err, "read", io.ErrShortBuffer)
			}
			write(t, d.from, "full")
			buf := make([]byte, 4)
			if n, err := d.to.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != "full" {
				t.Fatalf("after it: %q, %v", buf[:n], err)
			}
		}
	})
}

func TestMessageTooLong(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, d := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
			longest := bytes.Repeat([]byte("x"), 65_507)
			tooLong := make([]byte, 65_508)
			if !strings.HasPrefix(l.Addr().Network(), "udp") {
				tooLong = make([]byte, 8<<20) // the system's limit depends on its settings
			}
			write(t, d.from, string(longest))
			if got := read(t, d.to); got != string(longest) {
				t.Fatalf("%d bytes arrived", len(got))
			}
			wantOpError(t, d.from.WriteMessage(t.Context(), tooLong), "write", tincan.ErrMessageTooLong)
			write(t, d.from, "still there")
			if got := read(t, d.to); got != "still there" {
				t.Fatalf("after it: %q", got)
			}
		}
	})
}

// A read that ctx ends loses no message, and the connection takes another ctx.
func TestMessageContext(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for name, d := range map[string]struct{ from, to tincan.MessageConn }{"server": {client, server}, "client": {server, client}} {
			buf := make([]byte, 8)
			canceled, cancel := context.WithCancelCause(t.Context())
			reason := errors.New("enough")
			go cancel(reason)
			_, err := d.to.ReadMessage(canceled, buf)
			wantOpError(t, err, "read", context.Canceled)
			wantOpError(t, err, "read", reason)
			// The same ctx again, with a message there that it must not lose.
			write(t, d.from, "kept "+name[:1])
			_, err = d.to.ReadMessage(canceled, buf)
			wantOpError(t, err, "read", context.Canceled)
			wantOpError(t, d.to.WriteMessage(canceled, nil), "write", context.Canceled)
			if got := read(t, d.to); got != "kept "+name[:1] {
				t.Fatalf("after cancel: %q", got)
			}
			soon, cancelSoon := context.WithTimeout(t.Context(), time.Millisecond)
			_, err = d.to.ReadMessage(soon, buf)
			cancelSoon()
			wantOpError(t, err, "read", context.DeadlineExceeded)
			if tincan.KindOf(err) != tincan.KindTimeout {
				t.Errorf("kind of %v is %v", err, tincan.KindOf(err))
			}
			// A ctx that never ends, right after one that did.
			write(t, d.from, "more")
			if n, err := d.to.ReadMessage(context.Background(), buf); err != nil || string(buf[:n]) != "more" {
				t.Fatalf("after the deadline: %q, %v", buf[:n], err)
			}
		}
	})
}

func TestMessageWaitReadable(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, d := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
			soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			wantOpError(t, tincan.WaitReadable(soon, d.to), "read", context.DeadlineExceeded)
			cancel()
			write(t, d.from, "")
			for range 2 {
				if err := tincan.WaitReadable(t.Context(), d.to); err != nil {
					t.Fatal(err)
				}
			}
			if got := read(t, d.to); got != "" {
				t.Fatalf("read %q", got)
			}
		}
	})
}

func TestMessageClose(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, c := range []tincan.MessageConn{client, server} {
			var group sync.WaitGroup
			group.Go(func() {
				_, err := c.ReadMessage(t.Context(), nil)
				if !errors.Is(err, net.ErrClosed) && (err != io.EOF || c == client) {
					t.Errorf("blocked read: %v", err)
				}
			})
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			group.Wait()
			_, err := c.ReadMessage(t.Context(), nil)
			wantOpError(t, err, "read", net.ErrClosed)
			wantOpError(t, c.WriteMessage(t.Context(), nil), "write", net.ErrClosed)
		}
	})
}

func TestMessageListenerClose(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		_, server := messagePair(t, l)
		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := l.Accept(soon)
		wantOpError(t, err, "accept", context.DeadlineExceeded)
		var group sync.WaitGroup
		group.Go(func() {
			_, err := l.Accept(t.Context())
			wantOpError(t, err, "accept", net.ErrClosed)
		})
		if l.Addr().Network() != "unixpacket" {
			group.Go(func() {
				_, err := server.ReadMessage(t.Context(), nil)
				wantOpError(t, err, "read", net.ErrClosed)
			})
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
		_, err = l.Accept(t.Context())
		wantOpError(t, err, "accept", net.ErrClosed)
	})
}

// Peers that talk at once each get their own replies.
func TestMessagePeers(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		const peers, rounds = 8, 50
		var group sync.WaitGroup
		defer group.Wait()
		group.Go(func() {
			for range peers {
				c, err := l.Accept(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				group.Go(func() {
					defer c.Close()
					buf := make([]byte, 64)
					for range rounds {
						n, err := c.ReadMessage(t.Context(), buf)
						if err != nil {
							t.Error(err)
							return
						}
						if err := c.WriteMessage(t.Context(), append([]byte("re "), buf[:n]...)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		})
		for p := range peers {
			c := dialMessage(t, l.Addr().String())
			group.Go(func() {
				buf := make([]byte, 64)
				for i := range rounds {
					msg := fmt.Sprintf("%d/%d", p, i)
					if err := c.WriteMessage(t.Context(), []byte(msg)); err != nil {
						t.Error(err)
						return
					}
					n, err := c.ReadMessage(t.Context(), buf)
					if err != nil || string(buf[:n]) != "re "+msg {
						t.Errorf("%q answered by %q, %v", msg, buf[:n], err)
						return
					}
				}
			})
		}
	})
}

func TestServeDatagrams(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		if l.Addr().Network() == "unixpacket" {
			err := tincan.ServeDatagrams(t.Context(), l, nil)
			wantOpError(t, err, "serve", errors.ErrUnsupported)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		scratch := make([]byte, 0, 64)
		var mu sync.Mutex // two sockets serve "udp://:0"
		from := map[string]bool{}
		go func() {
			served <- tincan.ServeDatagrams(ctx, l, func(d *tincan.Datagram) []byte {
				mu.Lock()
				defer mu.Unlock()
				from[d.From().String()] = true
				switch string(d.Payload) {
				case "nothing":
					return nil
				case "short":
					scratch = append(scratch[:0], "from elsewhere"...)
					return scratch
				}
				return d.Payload[len(d.Payload)/2:]
			})
		}()
		clients := []tincan.MessageConn{dialMessage(t, l.Addr().String()), dialMessage(t, l.Addr().String())}
		for i, c := range clients {
			for _, m := range []string{"nothing", "", "short", "abcd", strings.Repeat("x", 50_000)} {
				write(t, c, m)
			}
			for _, want := range []string{"", "from elsewhere", "cd", strings.Repeat("x", 25_000)} {
				if got := read(t, c); got != want {
					t.Fatalf("client %d: got %d bytes, want %d", i, len(got), len(want))
				}
			}
		}
		if _, err := l.Accept(t.Context()); err == nil {
			t.Error("Accept took the datagrams that ServeDatagrams serves")
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("after cancel: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, c := range clients {
			if !from[c.LocalAddr().String()] {
				t.Errorf("no datagram from %v, but %v", c.LocalAddr(), from)
			}
		}
		// The listener can be served again, until it is closed.
		go func() {
			served <- tincan.ServeDatagrams(t.Context(), l, func(d *tincan.Datagram) []byte { return d.Payload })
		}()
		write(t, clients[0], "again")
		if got := read(t, clients[0]); got != "again" {
			t.Errorf("got %q", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wantOpError(t, <-served, "serve", net.ErrClosed)
	})
}
