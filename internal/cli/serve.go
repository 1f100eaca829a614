package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	limits                      limitFlags
	drain, idleTimeout, timeout time.Duration
	writable                    bool
}

const serveMetricsHelp = `tincan_serve_connections_total and _open, tincan_serve_bytes_total by direction (received,
sent), tincan_serve_requests_total of services that answer messages,
tincan_serve_dropped_messages_total and tincan_serve_failures_total by kind
` + failureKindsHelp + `, each by service and endpoint; of REP sockets
` + socketMetricsHelp + `,`

func (p *program) serveCommand() *cobra.Command {
	f := serveFlags{drain: service.DefaultDrain}
	cmd := &cobra.Command{
		Use:   "serve [SERVICE [ENDPOINT...]]",
		Short: "Ready services; with no argument every one on its default endpoint",
		Long: `serve hosts SERVICE on each ENDPOINT, or on its default endpoints, and with no
argument every service that has such. A default endpoint whose port is busy
moves to a free one, and a default path that can't be bound is left out; either
is said. An ENDPOINT that is named must be had, else the exit code is 7.
It prints "listening on URL" for each endpoint, and what to try. For hello,
http://host:port and https://host:port may be said for tcp and tls. A service that
answers messages is hosted on a REP socket of ZeroMQ with rep+ before the URL of a
byte stream: rep+tcp://host:port, rep+unix:path.

Services:
` + serviceTable() + `
` + stateHelp + `

The end of a client's input is a half-close: what it sent is answered whole, then
the server ends its side too. SIGINT or SIGTERM stops accepting, lets what is in
flight finish within --drain, and exits with 0; a second signal ends it at once.

` + metricsHelp(serveMetricsHelp) + `

` + exitCodesHelp + `

` + eventsHelp,
		Example: `  tincan serve
  tincan serve echo tcp://127.0.0.1:0 udp://127.0.0.1:0 unix:echo.sock
  tincan serve calc 'udp://*:10000'
  tincan serve calc rep+tcp://127.0.0.1:5555
  printf 'door=open\n' | tincan serve notify tcp://127.0.0.1:7070 http://127.0.0.1:7071 pub+tcp://127.0.0.1:7072
  tincan serve hello 'https://*:8443?cert=host.pem&key=host-key.pem'`,
		ValidArgsFunction: completeServe,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.serve(cmd.Context(), &f, args) },
	}
	p.outputFlags(cmd)
	p.observeFlags(cmd)
	f.limits.add(cmd.Flags())
	cmd.Flags().Var((*drainFlag)(&f.drain), "drain", "after a signal, let what is in flight finish for so long")
	cmd.Flags().Var((*durationFlag)(&f.idleTimeout), "idle-timeout", "end a connection when nothing has passed for so long")
	cmd.Flags().Var((*durationFlag)(&f.timeout), "timeout", "end a connection after so long")
	cmd.Flags().BoolVar(&f.writable, "writable", false, "let clients change a state")
	return cmd
}

func serviceTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range service.Services() {
		fmt.Fprintf(w, "    %s\t%s\t%s\n", s.Name, s.Summary, strings.Join(s.Endpoints, " "))
	}
	for _, s := range stateServices {
		fmt.Fprintf(w, "    %s\t%s\t%s\n", s.name, s.summary, strings.Join(s.endpoints, " "))
	}
	_ = w.Flush()
	return trailing.ReplaceAllString(b.String(), "")
}

// trailing is what a tabwriter leaves behind empty columns.
var trailing = regexp.MustCompile(`(?m) +$`)

// A hosting is one service on one endpoint.
type hosting struct {
	service  service.Service
	endpoint *tincan.Endpoint
	// optional is set where the user named no endpoint.
	optional bool
	// socket is set where a REP socket is to answer.
	socket bool
	// state is what is published, nil for other services; prefix is what its URL has before the endpoint's.
	state  *publication
	prefix string
	// answer handles messages; nil where a byte stream is served.
	answer service.MessageHandler
	bound  binding
	// counted is what is counted of it, but on a REP socket; nil without.
	counted *served
}

// A binding is a service on what was bound.
type binding interface {
	addr() net.Addr
	close() error
	// serve serves until ctx ends and what is in flight has finished, or been cut off.
	serve(ctx context.Context, server service.Server) error
}

func (p *program) serve(ctx context.Context, f *serveFlags, args []string) error {
	var published *publication
	if len(args) > 0 {
		if of, ok := lookupState(args[0]); ok {
			published = newPublication(of, f)
		}
	}
	if f.writable && published == nil {
		return &usageError{problem: "--writable is for a state", remedy: "such as that of notify"}
	}
	hostings, err := planHostings(args, published)
	if err != nil {
		return err
	}
	ctx, stop := p.interrupts.context(ctx)
	defer stop()
	stopObserving, err := p.observe(ctx, "serve")
	if err != nil {
		return ended(ctx, err)
	}
	defer stopObserving()
	lc := &tincan.ListenConfig{Config: p.config()}
	f.limits.apply(&lc.Options)
	bound, err := p.bindAll(ctx, lc, hostings)
	if err != nil {
		return ended(ctx, err)
	}
	if !p.report.json {
		p.report.write([]byte(tryTable(bound)))
	}
	for _, h := range bound {
		p.model.Suggest(h.tryLine())
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := service.Server{Drain: f.drain, IdleTimeout: f.idleTimeout, Timeout: f.timeout, Trace: p.serveHooks()}
	if f.drain == 0 {
		server.Drain = -1 // its zero is the default
	}
	var running sync.WaitGroup
	for _, h := range bound {
		running.Go(func() {
			if err := h.bound.serve(ctx, server); err != nil {
				cancel(err)
			}
		})
	}
	if published != nil {
		running.Go(func() {
			if err := published.run(ctx, p); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	if cause := (interruptError{}); errors.As(context.Cause(ctx), &cause) {
		return nil // a server's orderly end
	}
	return context.Cause(ctx)
}

// planHostings reads the arguments: nothing is bound before all are known to be right.
func planHostings(args []string, published *publication) ([]*hosting, error) {
	var plan []*hosting
	if len(args) == 0 {
		for _, s := range service.Services() {
			for _, url := range s.Endpoints {
				h, err := newHosting(s, url)
				if err != nil {
					return nil, err
				}
				h.optional = true
				plan = append(plan, h)
			}
		}
		return plan, nil
	}
	s, ok := service.Lookup(args[0])
	host := func(url string) (*hosting, error) { return newHosting(s, url) }
	if published != nil {
		s, ok, host = published.service(), true, published.hosting
	}
	if !ok {
		return nil, &usageError{problem: fmt.Sprintf("unknown service %q", args[0]), remedy: "services are " + strings.Join(serviceNames(), ", ")}
	}
	urls, optional := args[1:], false
	if len(urls) == 0 {
		urls, optional = s.Endpoints, true
	}
	if len(urls) == 0 {
		return nil, &usageError{problem: s.Name + " has no default endpoint", remedy: fmt.Sprintf("name one: tincan serve %s tcp://127.0.0.1:0", s.Name)}
	}
	for _, url := range urls {
		h, err := host(url)
		if err != nil {
			return nil, err
		}
		h.optional = optional
		plan = append(plan, h)
	}
	return plan, nil
}

func serviceNames() []string {
	var names []string
	for _, s := range service.Services() {
		names = append(names, s.Name)
	}
	for _, s := range stateServices {
		names = append(names, s.name)
	}
	return names
}

// newHosting checks that s can be served on url.
func newHosting(s service.Service, url string) (*hosting, error) {
	address, isSocket := strings.CutPrefix(url, "rep+")
	if isSocket {
		return newSocketHosting(s, address)
	}
	if s.Name == "hello" {
		if rest, ok := strings.CutPrefix(url, "http://"); ok {
			address = "tcp://" + rest
		} else if rest, ok := strings.CutPrefix(url, "https://"); ok {
			address = "tls://" + rest
		}
	}
	e, err := parseEndpoint(address)
	if err != nil {
		return nil, err
	}
	h := &hosting{service: s, endpoint: e}
	switch {
	case e.Messages() && s.Message != nil: // preferred on ws, which keeps messages apart
		if h.answer, err = s.Message(e.Options); err != nil {
			return nil, &tincan.EndpointError{Input: url, Problem: err.Error()}
		}
	case !e.Streams() && s.Message == nil:
		return nil, &usageError{problem: fmt.Sprintf("%s is served over byte streams, and %s carries messages", s.Name, e.Scheme), remedy: "use tcp, unix, tls or ws"}
	case !e.Streams() || s.Stream == nil:
		return nil, &usageError{problem: fmt.Sprintf("%s answers messages, and %s carries a byte stream", s.Name, e.Scheme), remedy: "use udp, unixgram, unixpacket or ws"}
	}
	return h, nil
}

// bindAll binds every endpoint, or none: what is optional may be left out.
func (p *program) bindAll(ctx context.Context, lc *tincan.ListenConfig, hostings []*hosting) (bound []*hosting, err error) {
	defer func() {
		if err != nil {
			for _, h := range bound {
				_ = h.bound.close()
			}
		}
	}()
	var skipped error
	for _, h := range hostings {
		err := h.bind(ctx, lc, p.counters)
		if err != nil && h.optional {
			if err = p.bindElsewhere(ctx, lc, h, err); err != nil {
				p.report.note("%s is left out: %v", h.endpoint, err)
				skipped = err
				continue
			}
		}
		if err != nil {
			return bound, err
		}
		bound = append(bound, h)
		h.counted.show(label{"service", h.service.Name}, label{"endpoint", h.url()})
		p.report.listening(h.service.Name, h.url())
	}
	if len(bound) == 0 {
		return nil, skipped
	}
	return bound, nil
}

// bindElsewhere takes a free port where the default one is busy.
func (p *program) bindElsewhere(ctx context.Context, lc *tincan.ListenConfig, h *hosting, busy error) error {
	if h.endpoint.Port == "" || !inUse(busy) {
		return busy
	}
	elsewhere := *h.endpoint
	elsewhere.Port = "0"
	asked := h.endpoint
	h.endpoint = &elsewhere
	if h.bind(ctx, lc, p.counters) != nil {
		h.endpoint = asked
		return busy
	}
	p.report.note("%s is in use, %s moves to %s", asked, h.service.Name, h.bound.addr())
	return nil
}

func (h *hosting) bind(ctx context.Context, lc *tincan.ListenConfig, c *counters) (err error) {
	if h.state != nil {
		return h.state.bind(ctx, lc, h, c)
	}
	if h.socket {
		h.bound, err = bindSocket(ctx, lc, h, c)
		return err
	}
	h.counted = c.serving("serve", h.answer != nil)
	counting := *lc
	counting.Trace = h.counted.hooks(lc.Trace)
	if h.answer != nil {
		var ln tincan.MessageListener
		ln, err = counting.ListenMessageEndpoint(ctx, h.endpoint)
		h.bound = messageBinding{ln, h.answer, h.counted}
		return err
	}
	var ln *tincan.Listener
	ln, err = counting.ListenEndpoint(ctx, h.endpoint)
	h.bound = streamBinding{ln, h.service.Stream, h.counted}
	return err
}

// url is what clients dial.
func (h *hosting) url() string {
	if h.state != nil {
		return h.state.url(h)
	}
	if h.socket {
		return socketPrefix + h.bound.addr().String()
	}
	return h.bound.addr().String()
}

// A streamBinding serves byte streams.
type streamBinding struct {
	ln      *tincan.Listener
	handle  service.StreamHandler
	counted *served
}

func (b streamBinding) addr() net.Addr { return b.ln.Addr() }
func (b streamBinding) close() error   { return b.ln.Close() }

func (b streamBinding) serve(ctx context.Context, server service.Server) error {
	server.Trace = b.counted.hooks(server.Trace)
	return server.Serve(ctx, b.counted.streams(b.ln), b.handle)
}

// A messageBinding answers messages.
type messageBinding struct {
	ln      tincan.MessageListener
	handle  service.MessageHandler
	counted *served
}

func (b messageBinding) addr() net.Addr { return b.ln.Addr() }
func (b messageBinding) close() error   { return b.ln.Close() }

func (b messageBinding) serve(ctx context.Context, server service.Server) error {
	// None of the ready services blocks. Limits on a peer's time need a flow for each peer.
	// and so does the dashboard, which lists peers.
	server.Inline = server.IdleTimeout == 0 && server.Timeout == 0 && b.counted.shown() == nil
	server.Trace = b.counted.hooks(server.Trace)
	if server.Inline && datagrams(b.ln.Addr().Network()) { // there are no connections
		return server.ServeMessages(ctx, b.ln, b.counted.answering(b.handle, true))
	}
	return server.ServeMessages(ctx, b.counted.messages(b.ln), b.counted.answering(b.handle, false))
}

// serveHooks adds to the usual hooks what no event of the connection tells:
// the fault that ended it.
func (p *program) serveHooks() *tincan.Trace {
	t := p.report.hooks()
	if t.Closed == nil {
		t.Closed = func(c tincan.Conn, _, _ int64, err error) {
			if err != nil {
				p.report.note("client %s: %v", name(c.RemoteAddr()), err)
			}
		}
	}
	return t
}

// tryTable lists the endpoints, with a line for the shell to try each.
func tryTable(bound []*hosting) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSERVICE\tENDPOINT\tTRY")
	for _, h := range bound {
		fmt.Fprintf(w, "%s\t%s\t%s\n", h.service.Name, h.url(), h.tryLine())
	}
	_ = w.Flush()
	return b.String()
}

// tryLine is a line for the shell that tries h where it was bound.
func (h *hosting) tryLine() string {
	e := *h.endpoint
	if bound, ok := h.bound.addr().(*tincan.Endpoint); ok {
		e = *bound // with the port that was taken
	}
	return h.try(&e)
}
