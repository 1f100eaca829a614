package cli

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// A stateService is a service that publishes a state.
type stateService struct {
	name, summary string
	endpoints     []string // by default
	// provide changes the table until ctx ends. When it returns before, without an error, the state is served on as it is.
	// It calls begun, as often as it likes, once the table is what a client should find.
	provide func(ctx context.Context, p *program, f *serveFlags, t *state.Table, begun func()) error
}

// stateServices are those that there are.
var stateServices = []stateService{
	{name: "notify", summary: "tells every client of each change of a state, which standard input gives", provide: provideInput},
	{name: "sysinfo", summary: "tells what this host and chosen processes do", endpoints: []string{"unix:sysinfo_socket"}, provide: provideSysinfo},
}

const stateHelp = `A state (notify, sysinfo) is served over tcp, unix, tls, ws and the like as JSON lines,
or messages, that any language can read; tincan watch shows it. With http or https
before the URL's address, http://host:port, it is served as /state and /events, and
with pub+ before the URL of a byte stream on a PUB socket of ZeroMQ. With nats://host:4222/subject
it is kept in a key-value bucket of NATS. A client first gets
the whole state, then each change; one that is slow gets the latest of each key. With
--writable clients over JSON lines may change it too.

notify reads changes from standard input, key=value a line: the value is JSON, or else a
string, and key= alone deletes. A line that is wrong is told with its number and left out.
The end of input leaves the server running.

` + sysinfoHelp

// A publication is a state that is served.
type publication struct {
	server state.Server
	table  state.Table
	of     stateService
	flags  *serveFlags
}

func newPublication(of stateService, f *serveFlags) *publication {
	b := &publication{of: of, flags: f}
	b.server.Table, b.server.Writable = &b.table, f.writable
	return b
}

// service is what serves a state over a byte stream.
func (b *publication) service() service.Service {
	return service.Service{Name: b.of.name, Summary: b.of.summary, Endpoints: b.of.endpoints, Stream: b.server.ServeStream}
}

// publications are the states that the arguments of serve ask for.
func publications(f *serveFlags, args []string) []*publication {
	var published []*publication
	for _, of := range stateServices {
		if len(args) == 0 && len(of.endpoints) > 0 || len(args) > 0 && of.name == args[0] {
			published = append(published, newPublication(of, f))
		}
	}
	return published
}

// start has the state changed until ctx ends, and then lets every client be told of what has been changed. It waits until the
// state is there to be served. running has what goes on, and failed is told what ends it before.
func (b *publication) start(ctx context.Context, p *program, running *sync.WaitGroup, failed func(error)) {
	p.counters.state(&b.server, label{"service", b.of.name})
	p.publishing(&b.table)
	there := make(chan struct{})
	begun := sync.OnceFunc(func() { close(there) })
	context.AfterFunc(ctx, b.server.Finish)
	running.Go(func() {
		if err := b.of.provide(ctx, p, b.flags, &b.table, begun); err != nil {
			failed(err)
		}
		begun()
	})
	<-there
}

// Forms of an endpoint of a state, beside its own URL.
const (
	webPrefix       = "http://"
	secureWebPrefix = "https://"
	pubPrefix       = "pub+"
)

// hosting checks that the state can be served on url.
func (b *publication) hosting(url string) (*hosting, error) {
	h := &hosting{service: b.service(), state: b}
	if natsbridge.IsEndpoint(url) {
		e, err := natsbridge.ParseEndpoint(url)
		h.nats, h.endpoint = e, &tincan.Endpoint{}
		return h, err
	}
	address := url
	for _, form := range []struct{ prefix, scheme string }{{webPrefix, "tcp://"}, {secureWebPrefix, "tls://"}, {pubPrefix, ""}} {
		if rest, ok := strings.CutPrefix(url, form.prefix); ok {
			h.prefix, address = form.prefix, form.scheme+rest
		}
	}
	if h.prefix == webPrefix || h.prefix == secureWebPrefix {
		h.service.Stream = service.HTTP(&b.server)
	}
	var err error
	if h.endpoint, err = parseEndpoint(address); err != nil {
		return nil, err
	}
	switch {
	case !h.endpoint.Streams():
		return nil, &usageError{
			problem: fmt.Sprintf("a state is served over byte streams, and %s carries messages", h.endpoint.Scheme),
			remedy:  "use tcp, unix, tls or ws, http or https, or pub+ before such a URL",
		}
	case h.endpoint.Messages() && b.flags.idleTimeout+b.flags.timeout > 0:
		return nil, &usageError{problem: "--idle-timeout and --timeout don't apply to a state over " + h.endpoint.Scheme, remedy: "leave them out"}
	}
	return h, nil
}

// bind binds the state's endpoint.
func (b *publication) bind(ctx context.Context, lc *tincan.ListenConfig, h *hosting, c *counters) (err error) {
	if h.prefix == pubPrefix {
		h.bound, err = b.bindPublisher(ctx, lc, h, c)
		return err
	}
	h.counted = c.serving("serve", false)
	counting := *lc
	counting.Trace = h.counted.hooks(lc.Trace)
	if h.endpoint.Messages() {
		e := *h.endpoint
		e.Options.Text = true
		var ln tincan.MessageListener
		ln, err = counting.ListenMessageEndpoint(ctx, &e)
		h.bound = stateMessages{ln, &b.server, h.counted}
		return err
	}
	var ln *tincan.Listener
	ln, err = counting.ListenEndpoint(ctx, h.endpoint)
	h.bound = streamBinding{ln, h.service.Stream, h.counted}
	return err
}

// url is what clients dial.
func (b *publication) url(h *hosting) string {
	url := h.bound.addr().String()
	if h.prefix == webPrefix || h.prefix == secureWebPrefix {
		_, rest, _ := strings.Cut(url, "://")
		return h.prefix + rest
	}
	return h.prefix + url
}

// try gives a line for the shell that shows the state.
func (b *publication) try(h *hosting, e *tincan.Endpoint) string {
	dialled := *e
	dialled.Options = tincan.Options{}
	if dialled.Host == "*" {
		dialled.Host = "localhost"
	}
	url := dialled.String()
	switch h.prefix {
	case webPrefix, secureWebPrefix:
		_, rest, _ := strings.Cut(url, "://")
		return "curl '" + h.prefix + rest + "/state'"
	}
	return "tincan watch '" + h.prefix + url + "'"
}

// stateMessages serves a state over WebSocket.
type stateMessages struct {
	ln      tincan.MessageListener
	server  *state.Server
	counted *served
}

func (b stateMessages) addr() net.Addr { return b.ln.Addr() }
func (b stateMessages) close() error   { return b.ln.Close() }

func (b stateMessages) serve(ctx context.Context, server service.Server) error {
	server.Trace = b.counted.hooks(server.Trace)
	return server.ServeMessageConns(ctx, b.counted.messages(b.ln), b.server.ServeMessages)
}

// A statePublisher serves a state on a PUB socket.
type statePublisher struct {
	pub   *state.Publisher
	bound net.Addr
}

func (b *publication) bindPublisher(ctx context.Context, lc *tincan.ListenConfig, h *hosting, c *counters) (binding, error) {
	o := &pattern.Options{ListenConfig: lc, Linger: max(b.flags.drain, time.Nanosecond)}
	counted := c.socket(o, label{"service", b.of.name}, label{"type", "pub"})
	s := &statePublisher{pub: b.server.NewPublisher(o)}
	var err error
	if s.bound, err = s.pub.Listen(ctx, h.endpoint.String()); err != nil {
		_ = s.pub.Close()
		return nil, err
	}
	counted.made(s.pub)
	counted.at(pubPrefix + s.bound.String())
	return s, nil
}

func (s *statePublisher) addr() net.Addr { return s.bound }
func (s *statePublisher) close() error   { return s.pub.Close() }

func (s *statePublisher) serve(ctx context.Context, _ service.Server) error {
	<-ctx.Done()
	_ = s.pub.Close() // a subscriber that does not read by then has lost its connection, as every slow one has
	return nil
}
