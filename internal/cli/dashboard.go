package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/dash"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// observing is who looks on while a server runs: --metrics and --dashboard.
type observing struct {
	// metrics is where --metrics wants them, dashboard where --dashboard wants it; empty without.
	metrics, dashboard string
	// remote lets the dashboard be reached from other hosts.
	remote bool
	// model is what the dashboard shows, nil without.
	model *dash.Model
	// published gives the state that the verb itself publishes; nil where it has none.
	published atomic.Pointer[state.Table]
}

// observeFlags adds --metrics and --dashboard.
func (p *program) observeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.metrics, "metrics", "", "serve metrics for Prometheus over HTTP on `ENDPOINT`")
	f.StringVar(&p.dashboard, "dashboard", "", "serve a page that shows what goes on over HTTP on `ENDPOINT`, such as tcp://127.0.0.1:8081")
	f.BoolVar(&p.remote, "dashboard-remote", false, "let --dashboard be reached from other hosts, by whoever has its token")
}

const dashboardHelp = `With --dashboard ENDPOINT, a tcp, tls or unix URL, a page shows in a browser
what goes on: connections as they come, what passes over them and how each lives,
message sockets, charts. Its URL, with the token that it asks for, is told on
standard error. It is for this host alone, unless --dashboard-remote is given.`

// observe starts what looks on while verb runs, until the function that it gives is called: through the drain of
// a server too. It is called before the verb binds anything, which is counted and shown from then on.
func (p *program) observe(ctx context.Context, verb string) (stop func(), err error) {
	stopMetrics, err := p.startMetrics(ctx)
	if err != nil {
		return nil, err
	}
	stopDashboard, err := p.startDashboard(ctx, verb)
	if err != nil {
		stopMetrics()
		return nil, err
	}
	return func() {
		stopDashboard()
		stopMetrics()
	}, nil
}

// dashboardConns is how many connections the dashboard serves at once, unless its URL says otherwise. A page holds one or two.
const dashboardConns = 64

// startDashboard serves the dashboard where --dashboard asks for it, until the function that it gives is called.
func (p *program) startDashboard(ctx context.Context, verb string) (stop func(), err error) {
	if p.dashboard == "" {
		if p.remote {
			return nil, &usageError{problem: "--dashboard-remote without --dashboard", remedy: "--dashboard says where the page is served"}
		}
		return func() {}, nil
	}
	e, err := p.dashboardEndpoint()
	if err != nil {
		return nil, err
	}
	lc := &tincan.ListenConfig{Config: p.config()}
	lc.Options.MaxConns = dashboardConns
	ln, err := lc.ListenEndpoint(ctx, e)
	if err != nil {
		return nil, err
	}
	p.count()
	table := &state.Table{}
	host, _ := os.Hostname() // without one the page has none to show
	p.model = dash.NewModel(table, dash.About{Verb: verb, Version: version, Host: host, PID: os.Getpid(), Started: time.Now()}, p.counters.totals)
	p.counters.model = p.model
	p.report.heard = p.model.Listening

	at := *e
	if bound, ok := ln.Addr().(*tincan.Endpoint); ok {
		at = *bound // with the port that was taken
	}
	o := dash.Options{
		Token: dash.NewToken(), Cookie: "tincan-" + at.Port, Host: e.Host, Anywhere: p.remote, TLS: e.Scheme == "tls+tcp",
		Published: p.published.Load,
	}
	p.report.dashboard(dashboardURL(&at, o))
	if p.remote && !loopback(e) {
		p.report.note("the dashboard can be reached from other hosts%s", inClear(o.TLS))
	}
	serving, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.model.Run(serving) })
	wg.Go(func() {
		server := &service.Server{Drain: -1}
		if err := server.Serve(serving, ln, service.HTTP(dash.NewHandler(p.model, table, o))); err != nil {
			p.report.note("dashboard: %v", err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}, nil
}

// dashboardEndpoint reads and checks the URL of --dashboard.
func (p *program) dashboardEndpoint() (*tincan.Endpoint, error) {
	e, err := parseEndpoint(p.dashboard)
	if err != nil {
		return nil, err
	}
	switch e.Scheme {
	case "tcp", "tcp4", "tcp6", "tls+tcp", "unix", "tls+unix":
	default:
		return nil, &usageError{problem: "the dashboard is served over HTTP, which " + e.Scheme + " does not carry", remedy: "use tcp, tls or unix"}
	}
	if !loopback(e) && !p.remote {
		return nil, &usageError{
			problem: fmt.Sprintf("the dashboard would be reached from other hosts on %s", e),
			remedy:  "use tcp://127.0.0.1:8081 and, from afar, ssh -L 8081:127.0.0.1:8081; or say --dashboard-remote, best with tls",
		}
	}
	return e, nil
}

// loopback reports whether what listens on e can be reached from this host alone.
func loopback(e *tincan.Endpoint) bool {
	if e.Path != "" && e.Host == "" || e.Host == "" || e.Host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(e.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

func inClear(secure bool) string {
	if secure {
		return ""
	}
	return ", its token in clear text: use tls where others share the network"
}

// dashboardURL is what a browser opens, and of a Unix socket the path under which it finds that.
func dashboardURL(at *tincan.Endpoint, o dash.Options) (url, path string) {
	scheme := "http"
	if o.TLS || at.Scheme == "tls+unix" {
		scheme = "https"
	}
	if at.Port == "" {
		return fmt.Sprintf("%s://localhost/?token=%s", scheme, o.Token), at.Path
	}
	host := at.Host
	switch {
	case host == "" || host == "*":
		host = "localhost"
	case netip.Addr{} != addrOf(host) && addrOf(host).Is6():
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s://%s:%s/?token=%s", scheme, host, at.Port, o.Token), ""
}

func addrOf(host string) netip.Addr {
	addr, _ := netip.ParseAddr(host) // the zero Addr for a name
	return addr
}

// dashboard tells where the dashboard is.
func (r *reporter) dashboard(url, path string) {
	switch {
	case r.json:
		r.emit(event{Event: "dashboard", URL: url, Message: path})
	case path != "":
		r.line("", "dashboard on "+url+" through the socket "+path+", as by ssh -L 8081:"+path+" HOST and port 8081")
	default:
		r.line("", "dashboard on "+url)
	}
}

// totals sums what is counted: the numbers of --metrics.
func (c *counters) totals() dash.Totals {
	var t dash.Totals
	for _, s := range c.samples() {
		n := int64(s.value)
		in := s.has("received") || s.has("forward")
		switch {
		case s.name == "bytes_total" && in:
			t.Received += n
		case s.name == "bytes_total":
			t.Sent += n
		case s.name == "messages_total" && in:
			t.MessagesReceived += n
		case s.name == "messages_total":
			t.MessagesSent += n
		case s.name == "connections_total":
			t.Connections += n
		case s.name == "connections_open":
			t.Open += n
		case s.name == "dropped_messages_total" || s.name == "unroutable_messages_total":
			t.Dropped += n
		case s.name == "failures_total":
			t.Failed += n
		}
	}
	return t
}

// has reports whether the sample is of that direction.
func (s *sample) has(direction string) bool {
	for _, l := range s.labels {
		if l.name == "direction" {
			return l.value == direction
		}
	}
	return false
}

// timed has the dashboard know how long h takes for its replies. Without one it gives h.
func (c *counters) timed(h service.MessageHandler) service.MessageHandler {
	if c.shown() == nil {
		return h
	}
	return func(ctx context.Context, request []byte) ([]byte, error) {
		asked := time.Now()
		reply, err := h(ctx, request)
		if err == nil && reply != nil {
			c.model.Took(dash.Reply, time.Since(asked))
		}
		return reply, err
	}
}

// counterparts are lines for the shell that give a message socket of a verb a peer, before its endpoint.
var counterparts = map[string]string{
	"pub":    "tincan sub",
	"xpub":   "tincan sub",
	"sub":    "seq 100 | tincan pub --interval 1s --wait-peers 1",
	"xsub":   "seq 100 | tincan pub --interval 1s",
	"push":   "tincan pull",
	"pull":   "seq 100 | tincan push --interval 100ms",
	"req":    "tincan rep --echo",
	"rep":    "seq 100 | tincan req --interval 100ms",
	"dealer": "tincan rep --echo",
	"router": "seq 100 | tincan req --interval 100ms",
	"pair":   "seq 100 | tincan pair --interval 1s",
}

// suggestPeer has the dashboard suggest a peer for the socket of verb at e.
func (p *program) suggestPeer(verb string, e *tincan.Endpoint, dial bool) {
	if p.model == nil || counterparts[verb] == "" {
		return
	}
	how := " --dial "
	if !dial {
		how = " --listen "
	}
	p.model.Suggest(counterparts[verb] + how + shellQuote(e))
}

// suggestClient has the dashboard suggest a client for what listens on at.
func (p *program) suggestClient(at net.Addr) {
	if e, ok := at.(*tincan.Endpoint); ok && p.model != nil {
		p.model.Suggest("echo hello | tincan connect " + shellQuote(e))
	}
}

// publishing has the dashboard show the state t, which the verb publishes.
func (p *program) publishing(t *state.Table) {
	p.published.Store(t)
	p.model.Publishing()
}
