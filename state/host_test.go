package state

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/ws"
)

// kinds are the endpoints that a state is served on, but for ZMTP.
var kinds = []string{"tcp://127.0.0.1:0", "unix:state.sock", "mem:", "ws://127.0.0.1:0", "http://127.0.0.1:0"}

// config opens every scheme that tests use.
func config() tincan.Config {
	var c tincan.Config
	ws.AddTo(&c)
	c.Options.Text = true
	return c
}

// A host serves a state.
type host struct {
	url  string
	stop func() // at once, in the middle of things
}

// shortDir gives a folder whose path a Unix socket has room for.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tincan")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve hosts s on url until the test ends. The URL that it gives can be served on again after a stop.
func serve(t *testing.T, s *Server, url string) *host {
	t.Helper()
	if url == "unix:state.sock" {
		url = "unix:" + filepath.Join(shortDir(t), "state.sock")
	}
	if url == "mem:" {
		url = "mem:" + strings.ReplaceAll(t.Name(), "/", "-")
	}
	lc := &tincan.ListenConfig{Config: config()}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // until those who follow have been stopped
	var running sync.WaitGroup
	h := &host{stop: func() {
		cancel()
		running.Wait()
	}}
	t.Cleanup(h.stop)
	server := &service.Server{Drain: -1}
	if strings.HasPrefix(url, "ws://") {
		l, err := lc.ListenMessage(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		h.url = l.Addr().String()
		running.Go(func() { _ = server.ServeMessageConns(ctx, l, s.ServeMessages) })
		return h
	}
	address, handle := url, service.StreamHandler(s.ServeStream)
	if rest, web := strings.CutPrefix(url, "http:"); web {
		address, handle = "tcp:"+rest, service.HTTP(s)
	}
	l, err := lc.Listen(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	h.url = l.Addr().String()
	if address != url {
		h.url = "http:" + strings.TrimPrefix(h.url, "tcp:")
	}
	running.Go(func() { _ = server.Serve(ctx, l, handle) })
	return h
}

// follow follows url until the test ends.
func follow(t *testing.T, url string, o FollowOptions) *Follower {
	t.Helper()
	o.Dialer = &tincan.Dialer{Config: config()}
	o.Backoff = tincan.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}
	f, err := Follow(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// dial gives a connection whose every operation ends in time.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := tincan.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// until takes updates until s is what it should be.
func until(t *testing.T, f *Follower, s *Snapshot, done func() bool) {
	t.Helper()
	for !done() {
		s.Apply(next(t, f))
	}
}

var _ http.Handler = (*Server)(nil)
