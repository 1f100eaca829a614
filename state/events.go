package state

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// maxHeader bounds the header of an answer.
const maxHeader = 64 << 10

// A page is where events are.
type page struct {
	endpoint *tincan.Endpoint
	path     string
}

// parsePage reads what follows http:// or https://; options of the endpoint are its query.
func parsePage(rest, scheme, port string) (page, error) {
	address, query, hasQuery := strings.Cut(rest, "?")
	host, path, _ := strings.Cut(address, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host += ":" + port
	}
	if hasQuery {
		query = "?" + query
	}
	e, err := tincan.ParseEndpoint(scheme + "://" + host + query)
	if path == "" {
		path = "events"
	}
	return page{e, "/" + path}, err
}

// An eventSource reads Server-Sent Events.
type eventSource struct {
	conn    net.Conn
	body    io.Closer
	events  *eventReader
	release func() bool
}

// openEvents asks for the page.
func openEvents(ctx context.Context, o *FollowOptions, p page) (source, error) {
	conn, err := o.Dialer.DialEndpoint(ctx, p.endpoint)
	if err != nil {
		return nil, err
	}
	s := &eventSource{conn: conn, release: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if err := s.ask(ctx, o, p); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *eventSource) ask(ctx context.Context, o *FollowOptions, p page) error {
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(p.endpoint.Host, p.endpoint.Port), Path: p.path}
	if p.endpoint.Host == "" {
		u.Host = net.JoinHostPort("localhost", p.endpoint.Port)
	}
	u.RawQuery = url.Values{"keys": newPrefixes(o.Prefixes)}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Cache-Control", "no-store")
	if err := r.Write(s.conn); err != nil {
		return err
	}
	head := &io.LimitedReader{R: s.conn, N: maxHeader}
	answer, err := http.ReadResponse(bufio.NewReader(head), r)
	if err != nil {
		return err
	}
	s.body, head.N = answer.Body, math.MaxInt64
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: HTTP status %s", fs.ErrPermission, answer.Status)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: HTTP status %s", ErrProtocol, answer.Status)
	case kind != "text/event-stream":
		return fmt.Errorf("%w: it answers with %q, not with events", ErrProtocol, kind)
	}
	s.events = newEventReader(answer.Body, int(o.MaxLine))
	return nil
}

// next gives the next update. Events of other names are left out.
func (s *eventSource) next() (Update, error) {
	for {
		name, data, err := s.events.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Update{}, err
		}
		if name == "snapshot" || name == "change" {
			return parseUpdate(data)
		}
	}
}

func (s *eventSource) close() {
	if s.release() {
		_ = s.conn.Close()
	}
	if s.body != nil {
		_ = s.body.Close() // only lets go of it, for the connection is closed
	}
}

// An eventReader takes Server-Sent Events off a stream (HTML, "Interpreting an event stream"). Its memory is bounded.
type eventReader struct {
	lines  *bufio.Scanner
	limit  int
	ended  bool // the line before ended with a carriage return, and a newline that follows belongs to it
	begun  bool
	data   []byte
	name   string
	filled bool // the event has data, which may be empty
}

func newEventReader(r io.Reader, limit int) *eventReader {
	e := &eventReader{lines: bufio.NewScanner(r), limit: limit}
	e.lines.Buffer(nil, limit+len("data: \r\n"))
	e.lines.Split(e.split)
	return e
}

// split finds lines, which end with a carriage return, a newline, or both. What has no end is no line.
func (e *eventReader) split(b []byte, _ bool) (advance int, token []byte, err error) {
	skip := 0
	if e.ended && len(b) > 0 {
		e.ended = false
		if b[0] == '\n' {
			skip = 1
		}
	}
	line := b[skip:]
	i := bytes.IndexAny(line, "\r\n")
	if i < 0 {
		return skip, nil, nil
	}
	e.ended = line[i] == '\r'
	return skip + i + 1, line[:i:i], nil
}

// next gives the name and the data of the next event that has data, which is valid until the next call. The error is [io.EOF]
// at the end, [frame.ErrTooLong] for an event over the limit, or the stream's.
func (e *eventReader) next() (name string, data []byte, err error) {
	e.data, e.name, e.filled = e.data[:0], "", false
	for e.lines.Scan() {
		line := e.lines.Bytes()
		if !e.begun {
			e.begun = true
			line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		}
		switch {
		case len(line) > 0:
			if err := e.field(line); err != nil {
				return "", nil, err
			}
		case e.filled:
			return e.name, e.data, nil
		default:
			e.name = ""
		}
	}
	err = e.lines.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return "", nil, frame.ErrTooLong
	case err == nil:
		return "", nil, io.EOF
	}
	return "", nil, err
}

// field takes in one line of an event.
func (e *eventReader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.name = string(value)
	case "data":
		if len(e.data)+1+len(value) > e.limit+1 {
			return frame.ErrTooLong
		}
		if e.filled {
			e.data = append(e.data, '\n')
		}
		e.filled = true
		e.data = append(e.data, value...)
	}
	return nil
}
