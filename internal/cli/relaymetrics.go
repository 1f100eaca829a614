package cli

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// relayCounts are the counts of one relay, as they are now.
type relayCounts struct {
	connections, open, retries, dropped atomic.Int64
	forward, backward                   atomic.Int64 // bytes
	failures                            [tincan.KindBind + 1]atomic.Int64
}

func (c *relayCounts) opened() {
	c.connections.Add(1)
	c.open.Add(1)
}

func (c *relayCounts) closed(err error) {
	c.open.Add(-1)
	if err != nil {
		c.failures[kindOf(err)].Add(1)
	}
}

// listenHooks is the trace of FROM: it tells of handshakes that failed too, which no event of the connection does.
func (r *relaying) listenHooks() *tincan.Trace {
	t := r.report.hooks()
	refused, dropped, handshaken := t.Refused, t.Dropped, t.Handshaken
	t.Refused = func(listener, remote net.Addr, err error) {
		r.counts.failures[kindOf(err)].Add(1)
		refused(listener, remote, err)
	}
	t.Dropped = func(listener, remote net.Addr, size int) {
		r.counts.dropped.Add(1)
		if dropped != nil {
			dropped(listener, remote, size)
		}
	}
	t.Handshaken = func(c tincan.Conn, layer string, took time.Duration, err error) {
		if handshaken != nil {
			handshaken(c, layer, took, err)
		}
		if err == nil {
			return
		}
		r.counts.failures[kindOf(err)].Add(1)
		if r.only != nil {
			r.only.ended(err)
		} else if handshaken == nil {
			r.report.clientFailed(name(c.RemoteAddr()), err)
		}
	}
	return t
}

// clientFailed tells of a client that was never served.
func (r *reporter) clientFailed(client string, err error) {
	if r.json {
		r.emit(event{Event: "refused", Remote: client, Error: err.Error(), Kind: kindOf(err).String()})
		return
	}
	r.note("client %s: %v", client, err)
}

// dialHooks is the trace of TO.
func (r *relaying) dialHooks() *tincan.Trace {
	t := r.report.hooks()
	retrying := t.Retrying
	t.Retrying = func(e *tincan.Endpoint, attempt int, wait time.Duration, err error) {
		r.counts.retries.Add(1)
		retrying(e, attempt, wait, err)
	}
	return t
}

// pairHooks is the trace of what passes between the two.
func (r *relaying) pairHooks() *tincan.Trace {
	t := r.report.hooks()
	dropped := t.Dropped
	t.Dropped = func(to, from net.Addr, size int) {
		r.counts.dropped.Add(1)
		switch {
		case dropped != nil:
			dropped(to, from, size)
		default:
			r.report.note("dropped a message of %d bytes from %s, which can't be sent on by %s", size, name(from), to.Network())
		}
	}
	return t
}

const metricsHelp = `Metrics are tincan_relay_connections_total and _open, tincan_relay_bytes_total by
direction (forward is from FROM to TO), tincan_relay_failures_total by kind
(connect, timeout, reset, denied, other), tincan_relay_retries_total and
tincan_relay_dropped_messages_total, and those of the process.`

// collect registers the counts.
func (c *relayCounts) collect(reg prometheus.Registerer) {
	counter := func(name, help string, v *atomic.Int64, labels prometheus.Labels) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "tincan", Subsystem: "relay", Name: name, Help: help, ConstLabels: labels,
		}, func() float64 { return float64(v.Load()) }))
	}
	counter("connections_total", "Clients that were accepted.", &c.connections, nil)
	counter("retries_total", "Tries to reach TO that were followed by another.", &c.retries, nil)
	counter("dropped_messages_total", "Messages that found a queue full, or could not be sent on.", &c.dropped, nil)
	const bytes = "Bytes received from one side for the other."
	counter("bytes_total", bytes, &c.forward, prometheus.Labels{"direction": "forward"})
	counter("bytes_total", bytes, &c.backward, prometheus.Labels{"direction": "backward"})
	for kind := tincan.KindOther; kind <= tincan.KindBind; kind++ {
		if kind != tincan.KindUsage && kind != tincan.KindBind { // these end the command
			counter("failures_total", "Clients that were turned away or did not end in order.", &c.failures[kind], prometheus.Labels{"kind": kind.String()})
		}
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "tincan", Subsystem: "relay", Name: "connections_open", Help: "Clients that are served.",
	}, func() float64 { return float64(c.open.Load()) }))
}

// serveMetrics serves the counts until the function that it gives is called.
func (r *relaying) serveMetrics(ctx context.Context) (stop func(), err error) {
	e, err := parseEndpoint(r.flags.metrics)
	if err != nil {
		return nil, err
	}
	if !e.Streams() {
		return nil, &usageError{problem: fmt.Sprintf("metrics are served over HTTP, and %s carries messages", e.Scheme), remedy: "use tcp, unix or tls"}
	}
	lc := &tincan.ListenConfig{Config: r.config()}
	ln, err := lc.ListenEndpoint(ctx, e)
	if err != nil {
		return nil, err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	r.counts.collect(reg)
	if r.report.json {
		r.report.listening("metrics", ln.Addr().String())
	} else {
		r.report.note("metrics on %s", ln.Addr())
	}
	serving, cancel := context.WithCancel(context.Background()) // through the drain of the relay as well
	var wg sync.WaitGroup
	wg.Go(func() {
		server := &service.Server{Drain: -1}
		if err := server.Serve(serving, ln, service.HTTP(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))); err != nil {
			r.report.note("metrics: %v", err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}, nil
}
