package state

import (
	"net/http"
	"strconv"
	"time"
)

// ServeHTTP answers GET /state with the snapshot object, and GET /events with Server-Sent Events (HTML, "Server-sent
// events"): first an event named snapshot, then one named change for each change, with the object as data and its number as id. A client
// that comes again, with Last-Event-ID, gets a snapshot again. The query's keys, which may repeat, are prefixes that
// narrow either. Comments are sent every 15 s when there is nothing else.
//
// It may be called under other paths, with [net/http.StripPrefix]. Who may ask, from which pages, is for the caller to check: there
// are no headers that would let a page of another origin read anything.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	keys := r.URL.Query()["keys"]
	switch {
	case r.URL.Path != "/state" && r.URL.Path != "/events":
		http.Error(w, "There is nothing here but /state and /events", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are allowed", http.StatusMethodNotAllowed)
	case checkPrefixes(keys, limit(s.Table.MaxKey, DefaultMaxKey)) != nil:
		http.Error(w, "The prefixes are too many or too long", http.StatusBadRequest)
	case r.URL.Path == "/state":
		s.serveState(w, keys)
	default:
		h.Set("Content-Type", "text/event-stream")
		if r.Method == http.MethodHead {
			return
		}
		s.serveEvents(w, r, keys)
	}
}

// serveState answers with a snapshot.
func (s *Server) serveState(w http.ResponseWriter, keys []string) {
	watcher := s.Table.Watch(keys...)
	b := &batch{asLine: true}
	_ = watcher.take(b, 0) // it has just been made, so that there is a snapshot
	watcher.Close()
	line := s.Table.snapshotLine(b)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(line)+1))
	_, _ = w.Write(append(line[:len(line):len(line)], '\n')) // a client that left is no error of ours
}

// serveEvents tells the client of changes until it goes.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, keys []string) {
	to := &eventSink{w: w, c: http.NewResponseController(w)}
	// Whoever serves has bounds of its own for requests, and this one has no end. Where they can't be changed they hold.
	_ = to.c.SetReadDeadline(time.Time{})
	_ = to.c.SetWriteDeadline(time.Time{})
	_ = s.follow(r.Context(), to, nil, keys...) // a client that left is no error of ours
}

// An eventSink sends events.
type eventSink struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func appendEvent(dst []byte, name string, seq uint64) []byte {
	dst = append(append(dst, "event: "...), name...)
	dst = append(dst, "\nid: "...)
	dst = appendUint(dst, seq)
	return append(dst, "\ndata: "...)
}

func (e *eventSink) changes(list []pending) error {
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	for _, p := range list {
		*b = appendEvent(*b, "change", p.c.seq)
		*b = append(p.c.appendTo(*b, p.missed), "\n\n"...)
	}
	return e.send(*b)
}

func (e *eventSink) snapshot(object []byte, seq uint64) error {
	if _, err := e.w.Write(appendEvent(nil, "snapshot", seq)); err != nil {
		return err
	}
	if _, err := e.w.Write(object); err != nil {
		return err
	}
	return e.send([]byte("\n\n"))
}

func (e *eventSink) fault([]byte) error { return nil } // nobody asks anything

func (e *eventSink) idle() error { return e.send([]byte(":\n\n")) }

func (e *eventSink) send(b []byte) error {
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.c.Flush()
}
