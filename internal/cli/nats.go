package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/service"
)

// connectNATS connects to e, whose later fate is told.
func (p *program) connectNATS(ctx context.Context, e *natsbridge.Endpoint, backoff tincan.Backoff) (*nats.Conn, error) {
	return natsbridge.Connect(ctx, e, &natsbridge.ConnectOptions{Backoff: backoff, OnEvent: (&natsTeller{report: p.report}).event})
}

// A natsTeller tells what happens with NATS.
type natsTeller struct {
	report *reporter

	mu      sync.Mutex // guards what follows
	last    string     // the last drop that was told in words
	when    time.Time
	dropped int // since then
}

// natsEventNames are the names of events in JSON.
var natsEventNames = map[natsbridge.EventKind]string{
	natsbridge.EventDisconnected: "retrying",
	natsbridge.EventReconnected:  "connected",
	natsbridge.EventFailed:       "refused",
	natsbridge.EventDropped:      "dropped",
	natsbridge.EventRetrying:     "retrying",
}

func (t *natsTeller) event(e natsbridge.Event) {
	if t.report.json {
		line := event{Event: natsEventNames[e.Kind], URL: e.Server, Messages: e.Messages, Error: text(e.Err)}
		if e.Err != nil {
			line.Kind = kindOf(e.Err).String()
		}
		t.report.emit(line)
		return
	}
	switch e.Kind {
	case natsbridge.EventDisconnected:
		t.report.note("NATS is lost (%v); trying again until it works", e.Err)
	case natsbridge.EventReconnected:
		t.report.note("NATS is there again, %s", e.Server)
	case natsbridge.EventDropped, natsbridge.EventRetrying:
		t.repeated(e)
	default:
		t.report.note("NATS: %v", e.Err)
	}
}

// repeated tells of what may happen with every message: the same at most once a second, with how many there were.
func (t *natsTeller) repeated(e natsbridge.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped += max(e.Messages, 1)
	words := fmt.Sprintf("%v: %v", e.Kind, e.Err)
	if words == t.last && time.Since(t.when) < time.Second {
		return
	}
	t.report.note("%s (%d)", words, t.dropped)
	t.last, t.when, t.dropped = words, time.Now(), 0
}

// newNATSHosting checks that s can be served on a subject of NATS.
func newNATSHosting(s service.Service, url string) (*hosting, error) {
	e, err := natsbridge.ParseEndpoint(url)
	if err != nil {
		return nil, err
	}
	if s.Message == nil {
		return nil, &usageError{problem: s.Name + " is served over byte streams, and NATS carries messages", remedy: "use tcp, unix, tls or ws"}
	}
	h := &hosting{service: s, endpoint: &tincan.Endpoint{}, nats: e}
	if h.answer, err = s.Message(tincan.Options{}); err != nil {
		return nil, &tincan.EndpointError{Input: url, Problem: err.Error()}
	}
	return h, nil
}

// tryNATS gives a line for the shell that uses what is served on a subject.
func (h *hosting) tryNATS() string {
	if h.state != nil {
		return "tincan watch '" + h.url() + "'"
	}
	return "tincan " + h.service.Name + " + '" + h.url() + "' 1 3 5 7 9"
}

// bindHosting binds h, to an endpoint of this host or to a subject.
func (p *program) bindHosting(ctx context.Context, lc *tincan.ListenConfig, h *hosting) (err error) {
	if h.nats == nil {
		return h.bind(ctx, lc, p.counters)
	}
	if h.state != nil {
		h.bound, err = p.bindBucket(ctx, h)
	} else {
		h.bound, err = p.bindNATS(ctx, h)
	}
	return err
}

// A natsBinding serves a subject.
type natsBinding struct {
	e     *natsbridge.Endpoint
	nc    *nats.Conn
	stop  context.CancelFunc
	ended chan error // gets what Serve gives
}

// bindNATS connects, and serves from then on: what is listening answers.
func (p *program) bindNATS(ctx context.Context, h *hosting) (binding, error) {
	nc, err := p.connectNATS(ctx, h.nats, tincan.Backoff{})
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	b := &natsBinding{e: h.nats, nc: nc, stop: stop, ended: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		b.ended <- natsbridge.Serve(serving, nc, h.nats.Subject, h.answer, &natsbridge.ServeOptions{
			Queue: h.nats.Options.Queue, Drain: h.drain, Ready: func() { close(ready) },
			Handlers: 1, // none of the ready services blocks
		})
	}()
	select {
	case <-ready:
		return b, nil
	case err := <-b.ended:
		stop()
		_ = natsbridge.Close(nc, 0)
		return nil, err
	}
}

// natsAddress is what clients dial.
type natsAddress struct{ e *natsbridge.Endpoint }

func (natsAddress) Network() string  { return "nats" }
func (a natsAddress) String() string { return a.e.Redacted() }

func (b *natsBinding) addr() net.Addr { return natsAddress{b.e} }

func (b *natsBinding) close() error {
	b.stop()
	return errors.Join(<-b.ended, natsbridge.Close(b.nc, time.Second))
}

func (b *natsBinding) serve(ctx context.Context, _ service.Server) error {
	defer b.stop()
	var err error
	select {
	case err = <-b.ended:
	case <-ctx.Done():
		b.stop()
		err = <-b.ended
	}
	if closeErr := natsbridge.Close(b.nc, time.Second); err == nil && ctx.Err() == nil {
		err = closeErr
	}
	return err
}
