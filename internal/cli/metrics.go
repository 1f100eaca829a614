package cli

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// metricsHelp tells the metrics of a verb, whose own are described by what.
func metricsHelp(what string) string {
	return "With --metrics ENDPOINT, a tcp, tls or unix URL, GET /metrics gives Prometheus\n" + what + "\nand those of the process.\n\n" + dashboardHelp
}

const (
	failureKindsHelp  = "(connect, timeout, reset, denied, other)"
	socketMetricsHelp = `tincan_socket_connections_total and _open, tincan_socket_messages_total and
tincan_socket_bytes_total by direction (received, sent), tincan_socket_queued_messages,
_waiting_messages, _dropped_messages_total and _unroutable_messages_total, _retries_total,
tincan_socket_failures_total by kind ` + failureKindsHelp
)

// startMetrics serves what is counted where --metrics asks for it, until the function that it gives is called: through
// the drain of the server too. It is called before the verb binds anything, which counts from then on.
func (p *program) startMetrics(ctx context.Context) (stop func(), err error) {
	if p.metrics == "" {
		return func() {}, nil
	}
	e, err := parseEndpoint(p.metrics)
	if err != nil {
		return nil, err
	}
	if !e.Streams() {
		return nil, &usageError{problem: fmt.Sprintf("metrics are served over HTTP, and %s carries messages", e.Scheme), remedy: "use tcp, unix or tls"}
	}
	lc := &tincan.ListenConfig{Config: p.config()}
	ln, err := lc.ListenEndpoint(ctx, e)
	if err != nil {
		return nil, err
	}
	p.count()
	if p.report.json {
		p.report.listening("metrics", ln.Addr().String())
	} else {
		p.report.note("metrics on %s", ln.Addr())
	}
	serving, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		server := &service.Server{Drain: -1}
		if err := server.Serve(serving, ln, service.HTTP(p.counters.metrics())); err != nil {
			p.report.note("metrics: %v", err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}, nil
}

// metrics gives what is counted, and the state of the process, in Prometheus's text format.
func (c *counters) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector(), collector{c})
	text := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", text)
	mux.Handle("GET /{$}", text)
	return mux
}

// A collector gives the samples to Prometheus. What they are is known only once all is bound: it describes nothing.
type collector struct{ counters *counters }

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.counters.samples() {
		var names, values []string
		for _, l := range s.labels {
			names, values = append(names, l.name), append(values, l.value)
		}
		kind := prometheus.CounterValue
		if s.gauge {
			kind = prometheus.GaugeValue
		}
		desc := prometheus.NewDesc(prometheus.BuildFQName("tincan", s.subsystem, s.name), s.help, names, nil)
		out <- prometheus.MustNewConstMetric(desc, kind, s.value, values...)
	}
}
