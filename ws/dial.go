package ws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
)

// requestUpgrade is the client's side of the upgrade (RFC 6455 §4.1).
func requestUpgrade(ctx context.Context, w *wire, e *tincan.Endpoint) (*websocket.Conn, error) {
	host, err := hostHeader(ctx, e)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "http", Host: host, Path: e.Resource, RawQuery: escapeQuery(e.Options.Query)}
	header := http.Header{"User-Agent": {"tincan"}}
	if e.Options.Origin != "" {
		header.Set("Origin", e.Options.Origin)
	}
	options := &websocket.DialOptions{
		HTTPHeader: header,
		HTTPClient: &http.Client{
			Transport:     overWire{w},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if e.Options.Subprotocol != "" {
		options.Subprotocols = []string{e.Options.Subprotocol}
	}
	ws, resp, err := websocket.Dial(ctx, u.String(), options)
	var transportErr *url.Error
	switch {
	case errors.As(err, &transportErr):
		return nil, transportErr.Err
	case err != nil && resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, &StatusError{Code: resp.StatusCode, Reason: firstLine(resp.Body)}
	case err != nil:
		return nil, err
	case ws.Subprotocol() == "" && e.Options.Subprotocol != "":
		return nil, fmt.Errorf("the server does not speak subprotocol %q", e.Options.Subprotocol)
	}
	return ws, nil
}

// hostHeader gives the Host of the request: without the scheme's default port and without a zone.
func hostHeader(ctx context.Context, e *tincan.Endpoint) (string, error) {
	host, _, _ := strings.Cut(e.Host, "%")
	if host == "" || host == "*" {
		host = "localhost"
	}
	if e.Scheme == "ws+unix" {
		return host, nil
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", e.Port)
	if err != nil {
		return "", err
	}
	if port == 80 && e.Scheme == "ws" || port == 443 && e.Scheme == "wss" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return host, nil
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// escapeQuery leaves a query as it is but for what can't be part of a request line.
func escapeQuery(q string) string {
	var b strings.Builder
	for i := range len(q) {
		if c := q[i]; c <= ' ' || c >= 0x7f || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// maxHeader bounds a request or an answer, and maxBody what is read of an answer's text.
const (
	maxHeader = 16 << 10
	maxBody   = 1 << 10
)

// overWire is an [http.RoundTripper] over the one connection that is there: it
// knows no pool, no proxy and no goroutine.
type overWire struct{ w *wire }

func (o overWire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Write(o.w.Conn); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: o.w.Conn, N: maxHeader}
	r := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(r, req)
		switch {
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("the server's answer is longer than %d bytes", maxHeader)
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			early, _ := r.Peek(r.Buffered()) // messages may follow at once
			o.w.early = bytes.Clone(early)
			resp.Body = o.w
			return resp, nil
		case resp.StatusCode >= 200:
			_ = o.w.SetReadDeadline(time.Now().Add(closeWait)) // its text is worth a moment only
			text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
			resp.Body = io.NopCloser(bytes.NewReader(text))
			return resp, nil
		} // 100 to 199 announce another answer
	}
}

// firstLine gives the beginning of an answer's text if a person can read it.
func firstLine(r io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(r, maxBody))
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	line = strings.TrimSpace(line)
	if len(line) > 200 || strings.HasPrefix(line, "<") || strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return ""
	}
	return line
}
