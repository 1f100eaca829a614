package service_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func TestHello(t *testing.T) {
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "hello").Stream)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return tincan.Dial(ctx, url)
	}}}
	defer client.CloseIdleConnections()
	for _, tt := range []struct {
		method, path string
		status       int
		page         bool
	}{
		{"GET", "/", 200, true},
		{"HEAD", "/", 200, false},
		{"GET", "/?a=b", 200, true},
		{"GET", "/other", 404, false},
		{"POST", "/", 405, false},
		{"DELETE", "/", 405, false},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tt.method, "http://x"+tt.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != tt.status || strings.Contains(string(page), "You Connected to the Server!") != tt.page {
			t.Errorf("%s %s: %s, %q, %v", tt.method, tt.path, response.Status, page, err)
		}
		if tt.status == 200 && !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, response.Header.Get("Content-Type"))
		}
		if tt.status == 405 && response.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, response.Header.Get("Allow"))
		}
		if response.Header.Get("Content-Security-Policy") == "" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, response.Header)
		}
	}
}

// HTTP/1.0, as the classic client speaks it, ends with the connection.
func TestHelloHTTP10(t *testing.T) {
	url, _ := serve(t, &service.Server{}, "tcp://127.0.0.1:0", lookup(t, "hello").Stream)
	for _, request := range []string{"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
		c := dial(t, url)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(page), "HTTP/1.") || !strings.Contains(string(page), "You Connected to the Server!") {
			t.Errorf("%q: %q, %v", request, page, err)
		}
	}
	c := dial(t, url)
	if _, err := io.WriteString(c, "nonsense\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if page, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(page), "HTTP/1.1 400 ") {
		t.Errorf("nonsense: %q, %v", page, err)
	}
}

// Connections that a client keeps open, or drops, end with the server and leave nothing behind.
func TestHelloIdle(t *testing.T) {
	trace, ends := traced()
	url, end := serve(t, &service.Server{Trace: trace}, "tcp://127.0.0.1:0", lookup(t, "hello").Stream)
	kept, dropped := dial(t, url), dial(t, url)
	for _, c := range []net.Conn{kept, dropped} {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	dropped.Close()
	ends.next(t)
	end()
	if end := ends.next(t); end.err != nil || end.received == 0 || end.sent == 0 {
		t.Errorf("traced %+v", end)
	}
}
