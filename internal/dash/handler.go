package dash

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/tincan-ipc/tincan/state"
)

// page is what the browser loads. uPlot's licence is beside it.
//
//go:embed page
var page embed.FS

// Options are those of a [Handler].
type Options struct {
	// Token is what the browser has to know.
	Token string
	// Cookie names the cookie that holds it then.
	Cookie string
	// Host is the host of the URL under which the page is reached, beside loopback's names; it may be empty.
	Host string
	// Anywhere lets other hosts in, under any address of this one.
	Anywhere bool
	// TLS tells that the browser comes over TLS.
	TLS bool
	// Published gives the state of the command's own that the page shows, nil where there is none.
	Published func() *state.Table
}

// A Handler serves the page and what it shows:
//
//	/, /app.js ...      the page
//	/events             the model's state, as package state serves it; ?life=N adds the life of connection N
//	/history            the samples of the last minutes
//	/published/events   the state that the command publishes
type Handler struct {
	model *Model
	guard guard
	mux   *http.ServeMux
}

// NewHandler serves m, whose table is t.
func NewHandler(m *Model, t *state.Table, o Options) *Handler {
	h := &Handler{
		model: m, mux: http.NewServeMux(),
		guard: guard{token: o.Token, cookie: o.Cookie, secure: o.TLS, anywhere: o.Anywhere, host: o.Host},
	}
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	h.mux.Handle("GET /", http.FileServerFS(files))
	events := &state.Server{Table: t}
	h.mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { h.events(w, r, events) })
	h.mux.HandleFunc("GET /history", h.history)
	h.mux.HandleFunc("GET /published/events", func(w http.ResponseWriter, r *http.Request) {
		var published *state.Table
		if o.Published != nil {
			published = o.Published()
		}
		if published == nil {
			http.NotFound(w, r)
			return
		}
		http.StripPrefix("/published", &state.Server{Table: published}).ServeHTTP(w, r)
	})
	return h
}

// ServeHTTP answers whoever is let in.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.guard.admit(w, r) {
		h.mux.ServeHTTP(w, r)
	}
}

// shown are the prefixes of the model's keys, but for lives.
var shown = []string{"about", "conn.", "listen.", "socket.", "totals", "traffic"}

// events follows the model's state for as long as the browser does.
func (h *Handler) events(w http.ResponseWriter, r *http.Request, server *state.Server) {
	q := r.URL.Query()
	q["keys"] = shown
	if life := q.Get("life"); life != "" {
		id, err := strconv.ParseUint(life, 10, 64)
		if err != nil {
			http.Error(w, "life is the number of a connection", http.StatusBadRequest)
			return
		}
		defer h.model.follow(id)()
		q["keys"] = append([]string{key("life", id)}, shown...)
	}
	r = r.Clone(r.Context())
	r.URL.RawQuery = q.Encode()
	server.ServeHTTP(w, r)
}

func (h *Handler) history(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h.model.Samples()) // a browser that left is no error of ours
}
