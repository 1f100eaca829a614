package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
)

// reporter is everything that is said on stderr: words, or with --json events,
// one JSON object a line.
type reporter struct {
	json, trace bool // set when the flags are known

	// heard is told of what is listened on, nil without.
	heard func(service, url string)

	start  time.Time
	colour bool
	mu     sync.Mutex // guards what is written to w, so that lines stay whole
	w      io.Writer
}

func newReporter(w *os.File) *reporter {
	return &reporter{w: w, start: time.Now(), colour: os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(w.Fd()))}
}

// event is one JSON line. The names are relied upon: they are told in eventsHelp.
type event struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	URL       string    `json:"url,omitempty"`
	Service   string    `json:"service,omitempty"`
	Local     string    `json:"local,omitempty"`
	Remote    string    `json:"remote,omitempty"`
	Side      string    `json:"side,omitempty"`
	Layer     string    `json:"layer,omitempty"`
	Host      string    `json:"host,omitempty"`
	Addresses []string  `json:"addresses,omitempty"`
	Attempt   int       `json:"attempt,omitempty"`
	Seconds   float64   `json:"seconds,omitempty"`
	Received  *int64    `json:"received,omitempty"`
	Sent      *int64    `json:"sent,omitempty"`
	Direction string    `json:"direction,omitempty"`
	Offset    *int64    `json:"offset,omitempty"`
	Hex       string    `json:"hex,omitempty"`
	Type      string    `json:"type,omitempty"`
	Identity  string    `json:"identity,omitempty"`
	Messages  int       `json:"messages,omitempty"`
	Message   string    `json:"message,omitempty"`
	Error     string    `json:"error,omitempty"`
	Kind      string    `json:"kind,omitempty"`
	Exit      *int      `json:"exit,omitempty"`
	Hint      string    `json:"hint,omitempty"`
}

const eventsHelp = `With --json each line of standard error is an event, a JSON object with "time"
(RFC 3339) and "event", and what applies of "url", "service", "local", "remote",
"side" (local or remote), "received" and "sent" (bytes), "attempt", "seconds",
"message", "error", "kind", "exit" and "hint"; of message sockets also "type" and
"identity" of the peer, and "messages". Events are listening, dashboard, connected,
accepted, half-closed, closed, refused, retrying, pausing, dropped, note and
error; --trace adds resolved, connecting, attempted and handshaken, --hex adds
data with "direction", "offset" and "hex".`

func (r *reporter) emit(e event) {
	e.Time = time.Now()
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // the struct above always marshals
	}
	r.write(append(line, '\n'))
}

func (r *reporter) write(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(text) // nobody is left to tell
}

// line writes one line of words, in a colour where the terminal has them.
func (r *reporter) line(colour, text string) {
	text = harmless(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "; ")) // what a peer says may be part of it
	if r.colour && colour != "" {
		text = colour + text + "\x1b[0m"
	}
	r.write([]byte(text + "\n"))
}

const (
	red = "\x1b[31m"
	dim = "\x1b[2m"
)

// note tells what the user should know, though nothing has failed.
func (r *reporter) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if r.json {
		r.emit(event{Event: "note", Message: text})
		return
	}
	r.line("", "tincan: "+text)
}

// listening tells that url is bound.
func (r *reporter) listening(service, url string) {
	if r.heard != nil {
		r.heard(service, url)
	}
	if r.json {
		r.emit(event{Event: "listening", URL: url, Service: service})
		return
	}
	r.line("", "listening on "+url)
}

// connected tells that conn to e stands, handshakes included.
func (r *reporter) connected(e *tincan.Endpoint, conn tincan.Conn) {
	if r.json {
		r.emit(event{Event: "connected", URL: e.String(), Local: name(conn.LocalAddr()), Remote: name(conn.RemoteAddr())})
	}
}

// failure tells why the command ends, or why it goes on without something.
func (r *reporter) failure(err error) {
	if err == nil || quiet(err) {
		return
	}
	hint := hintFor(err)
	if r.json {
		code := exitCode(err)
		r.emit(event{Event: "error", Error: err.Error(), Kind: kindOf(err).String(), Exit: &code, Hint: hint})
		return
	}
	r.line(red, "tincan: "+err.Error())
	if hint != "" {
		r.line("", "hint: "+hint)
	}
}

// name writes an address for people.
func name(a net.Addr) string { return narrate.Name(a) }
