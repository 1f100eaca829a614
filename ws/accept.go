package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
)

// answerUpgrade is the server's side of the upgrade (RFC 6455 §4.2). What it
// refuses it answers by an HTTP status, and its error is a [*StatusError].
func answerUpgrade(w *wire, e *tincan.Endpoint) (*websocket.Conn, error) {
	limited := &io.LimitedReader{R: w.Conn, N: maxHeader}
	a := &answer{wire: w, r: bufio.NewReader(limited), header: http.Header{}}
	req, err := http.ReadRequest(a.r)
	switch {
	case err == nil:
		err = checkRequest(req, e)
	case limited.N <= 0:
		err = &StatusError{http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request is longer than %d bytes", maxHeader)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isIO(err):
		return nil, err // nobody is there to be answered
	default:
		err = &StatusError{http.StatusBadRequest, "this is no HTTP request"}
	}
	var refusal *StatusError
	if errors.As(err, &refusal) {
		if refusal.Code == http.StatusMethodNotAllowed {
			a.header.Set("Allow", http.MethodGet)
		}
		http.Error(a, refusal.Reason, refusal.Code)
		return nil, errors.Join(refusal, a.send())
	}
	options := &websocket.AcceptOptions{}
	if e.Options.Subprotocol != "" {
		options.Subprotocols = []string{e.Options.Subprotocol}
	}
	switch e.Options.Origin {
	case "":
	case "*":
		options.InsecureSkipVerify = true
	default:
		options.OriginPatterns = []string{e.Options.Origin}
	}
	ws, err := websocket.Accept(a, req, options)
	if err != nil && a.status >= 400 {
		refusal = &StatusError{a.status, firstLine(bytes.NewReader(a.text.Bytes()))}
		return nil, errors.Join(refusal, a.send())
	}
	return ws, err
}

// isIO tells a failure of the connection from one of what was read.
func isIO(err error) bool {
	var opErr *net.OpError
	var timeout interface{ Timeout() bool }
	return errors.As(err, &opErr) || errors.As(err, &timeout)
}

// checkRequest checks what the library leaves to its caller.
func checkRequest(req *http.Request, e *tincan.Endpoint) error {
	switch {
	case req.Method != http.MethodGet:
		return &StatusError{http.StatusMethodNotAllowed, "a WebSocket begins with GET"}
	case req.URL.Path != e.Resource:
		return &StatusError{http.StatusNotFound, "there is no endpoint at this path"}
	case req.Host == "":
		return &StatusError{http.StatusBadRequest, "the request has no Host"}
	case req.ContentLength != 0:
		return &StatusError{http.StatusBadRequest, "the request has a body"}
	case e.Options.Subprotocol != "" && !offers(req, e.Options.Subprotocol):
		return &StatusError{http.StatusBadRequest, "this endpoint speaks subprotocol " + e.Options.Subprotocol}
	}
	return nil
}

// offers reports whether the client speaks the subprotocol.
func offers(req *http.Request, subprotocol string) bool {
	return slices.ContainsFunc(req.Header.Values("Sec-WebSocket-Protocol"), func(list string) bool {
		return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
			return strings.EqualFold(strings.TrimSpace(s), subprotocol)
		})
	})
}

// answer is the [http.ResponseWriter] of one request: it writes status 101
// when the library takes the connection over, and any other with send.
type answer struct {
	wire   *wire
	r      *bufio.Reader
	header http.Header
	status int
	text   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.text.Write(p) }

// Hijack gives the connection to the library, with the requested protocol agreed on.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := a.send(); err != nil {
		return nil, nil, err
	}
	early, _ := a.r.Peek(a.r.Buffered()) // messages may have come at once
	a.wire.early = bytes.Clone(early)
	return a.wire, bufio.NewReadWriter(bufio.NewReader(a.wire), bufio.NewWriter(a.wire)), nil
}

// send writes the answer.
func (a *answer) send() error {
	resp := &http.Response{StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header}
	if a.status != http.StatusSwitchingProtocols {
		resp.Close = true
		resp.ContentLength = int64(a.text.Len())
		resp.Body = io.NopCloser(&a.text)
	}
	var b bytes.Buffer // one write: the peer reads it in one piece
	if err := resp.Write(&b); err != nil {
		return err
	}
	_, err := a.wire.Conn.Write(b.Bytes())
	return err
}
