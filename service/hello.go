package service

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

// helloService is a web server with one page.
var helloService = Service{
	Name:      "hello",
	Summary:   "shows a page in a browser",
	Endpoints: []string{"tcp://127.0.0.1:8080"},
	Stream:    HTTP(http.HandlerFunc(serveHello)),
	Try: func(e *tincan.Endpoint) string {
		if name, abstract := strings.CutPrefix(e.Path, "@"); abstract {
			return "curl --abstract-unix-socket " + quote(name) + " http://localhost/"
		}
		if e.Path != "" {
			return "curl --unix-socket " + quote(e.Path) + " http://localhost/"
		}
		d := *e
		if d.Host == "*" || d.Host == "" {
			d.Host = "localhost"
		}
		scheme := "http"
		if e.Scheme == "tls+tcp" {
			scheme = "https"
		}
		return "curl " + scheme + "://" + net.JoinHostPort(d.Host, d.Port) + "/"
	},
}

const helloPage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>tincan</title>
</head>
<body>
<h1>You Connected to the Server!</h1>
</body>
</html>
`

// Bounds of a client of HTTP, whatever the server's own are.
const (
	httpHeaderTimeout = 10 * time.Second
	httpIdleTimeout   = 60 * time.Second
	httpMaxHeader     = 16 << 10
)

func serveHello(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.URL.Path != "/":
		http.Error(w, "There is nothing here but /", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are allowed", http.StatusMethodNotAllowed)
	default:
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, helloPage) // a client that left is no error of ours
	}
}

// HTTP serves HTTP/1.0 and 1.1 on each connection, with bounds on the time and size of
// a request. When the server drains, what was asked is answered and no more.
func HTTP(h http.Handler) StreamHandler {
	return func(ctx context.Context, conn net.Conn) error { return serveHTTP(ctx, conn, h) }
}

// serveHTTP hands conn to a server of net/http and waits until it is done with it.
func serveHTTP(ctx context.Context, conn net.Conn, h http.Handler) error {
	l := &soleListener{conn: conn, draining: Draining(ctx), closed: make(chan struct{})}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: httpHeaderTimeout,
		ReadTimeout:       httpHeaderTimeout,
		WriteTimeout:      httpHeaderTimeout,
		IdleTimeout:       httpIdleTimeout,
		MaxHeaderBytes:    httpMaxHeader,
		Protocols:         &http1,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // what a client does wrong is no news
		ConnState:         l.note,
	}
	_ = server.Serve(l) // until the connection is closed or the drain begins
	server.SetKeepAlivesEnabled(false)
	if l.unused() {
		// Its first request may be on the way.
		_ = conn.SetReadDeadline(time.Now().Add(drainQuiet))
	}
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		_ = server.Close()
		<-l.closed
		return ctx.Err()
	}
}

// A soleListener gives net/http its one connection, then ends when that is
// closed or the server drains.
type soleListener struct {
	conn     net.Conn
	draining <-chan struct{}
	closed   chan struct{} // net/http is done with conn

	mu       sync.Mutex // guards what follows
	accepted bool
	state    http.ConnState
}

func (l *soleListener) Accept() (net.Conn, error) {
	if !l.accepted { // net/http accepts from one goroutine
		l.accepted = true
		return l.conn, nil
	}
	select {
	case <-l.closed:
	case <-l.draining:
	}
	return nil, net.ErrClosed
}

func (l *soleListener) note(_ net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	if state == http.StateClosed {
		close(l.closed)
	}
}

// unused reports whether nothing was received yet.
func (l *soleListener) unused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == http.StateNew
}

func (l *soleListener) Close() error   { return nil }
func (l *soleListener) Addr() net.Addr { return l.conn.LocalAddr() }
