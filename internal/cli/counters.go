package cli

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/dash"
)

// counters are what a server counts while it runs: of each endpoint that it serves, and of each message socket. Metrics
// and the dashboard show them. A nil pointer counts nothing, wraps no connection and is told nothing: so it is where neither is asked for.
type counters struct {
	model *dash.Model // the dashboard's, nil without; set before anything is counted

	mu      sync.Mutex // guards what follows
	served  []*served
	sockets []*countedSocket
	clients map[*client]struct{} // that are here
	last    uint64               // client's id
}

// count has the verb count from here on.
func (p *program) count() {
	if p.counters == nil {
		p.counters = &counters{clients: map[*client]struct{}{}}
	}
}

// traffic are the bytes that came from a client, or all of them, and went there.
type traffic struct{ received, sent atomic.Int64 }

// counts are what is counted of the clients of an endpoint.
type counts struct {
	traffic
	connections, open          atomic.Int64
	requests, retries, dropped atomic.Int64
	failures                   [tincan.KindBind + 1]atomic.Int64
}

func (c *counts) opened() {
	c.connections.Add(1)
	c.open.Add(1)
}

func (c *counts) closed(err error) {
	c.open.Add(-1)
	c.failed(err)
}

// failed counts a client that was turned away or, with an error, ended.
func (c *counts) failed(err error) {
	if err != nil {
		c.failures[kindOf(err)].Add(1)
	}
}

// A label tells one of several numbers of a name from the others. Its values are few: those of the command line, never of peers.
type label struct{ name, value string }

// shown gives the dashboard's model, nil without.
func (c *counters) shown() *dash.Model {
	if c == nil {
		return nil
	}
	return c.model
}

// A served is an endpoint, with what is counted of it. A nil pointer counts nothing.
type served struct {
	*counts
	counters   *counters // whose it is
	subsystem  string    // the verb
	labels     []label
	directions [2]string // what received and sent are called
	answers    bool      // messages, which are told as requests
	relays     bool      // clients, for whom retries are told
}

// serving gives what is to count of an endpoint of a verb, on which messages are answered or not. It is nil where nothing counts.
func (c *counters) serving(verb string, answers bool) *served {
	if c == nil {
		return nil
	}
	return &served{counts: &counts{}, counters: c, subsystem: verb, directions: [2]string{"received", "sent"}, answers: answers}
}

// show has s told among the others, from when its labels are known. It is called once.
func (s *served) show(labels ...label) {
	if s == nil || s.counters == nil {
		return
	}
	s.labels = labels
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	s.counters.served = append(s.counters.served, s)
}

// shown gives the dashboard's model, nil without.
func (s *served) shown() *dash.Model {
	if s == nil {
		return nil
	}
	return s.counters.shown()
}

// A client is a connection that is served, as it is now.
type client struct {
	*traffic
	// id tells clients apart. It grows with each.
	id uint64
	// served is where it came in.
	served *served
	// conn is the connection that traces tell of.
	conn  tincan.Conn
	since time.Time
	// record is what the dashboard keeps of it, nil without.
	record *dash.Conn
}

// enter notes that a client has come. Its traffic is counted on by whoever serves it.
func (s *served) enter(conn tincan.Conn, t *traffic) *client {
	s.opened()
	who := &client{traffic: t, served: s, conn: conn, since: time.Now()}
	if c := s.counters; c != nil {
		who.record = c.model.Conn(conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last++
		who.id = c.last
		c.clients[who] = struct{}{}
	}
	return who
}

// left notes that the client has gone, and why where it did not end in order.
func (who *client) left(err error) {
	who.served.closed(err)
	if c := who.served.counters; c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.clients, who)
	}
}

// here gives the clients that are here, in the order in which they came.
func (c *counters) here() []*client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Keys(c.clients), func(a, b *client) int { return cmp.Compare(a.id, b.id) })
}

// A sample is one number, as it is now.
type sample struct {
	// subsystem and name are those of the metric: tincan_SUBSYSTEM_NAME.
	subsystem, name, help string
	// gauge is set where the number goes down too.
	gauge  bool
	labels []label
	value  float64
}

// samples gives all that is counted.
func (c *counters) samples() []sample {
	c.mu.Lock()
	endpoints, sockets := slices.Clone(c.served), slices.Clone(c.sockets)
	c.mu.Unlock()
	var all []sample
	for _, s := range endpoints {
		all = s.appendSamples(all)
	}
	for _, s := range sockets {
		all = s.appendSamples(all)
	}
	return all
}

// What the numbers are, of every verb.
const (
	connectionsHelp = "Peers that came, or were reached."
	openHelp        = "Peers that are here."
	bytesHelp       = "Bytes received from one side, for or by the other."
	failuresHelp    = "Peers that were turned away or did not end in order."
	droppedHelp     = "Messages that found a queue full, or could not be sent on."
	retriesHelp     = "Tries to reach a peer that were followed by another."
)

// appendSamples appends the numbers of one endpoint.
func (s *served) appendSamples(to []sample) []sample {
	of := sampler{subsystem: s.subsystem, labels: s.labels, samples: to}
	of.counter("connections_total", connectionsHelp, s.connections.Load())
	of.gauge("connections_open", openHelp, s.open.Load())
	of.counter("bytes_total", bytesHelp, s.received.Load(), label{"direction", s.directions[0]})
	of.counter("bytes_total", bytesHelp, s.sent.Load(), label{"direction", s.directions[1]})
	of.counter("dropped_messages_total", droppedHelp, s.dropped.Load())
	of.failures(&s.failures)
	if s.answers {
		of.counter("requests_total", "Messages that were answered.", s.requests.Load())
	}
	if s.relays {
		of.counter("retries_total", retriesHelp, s.retries.Load())
	}
	return of.samples
}

// A sampler collects the numbers of one thing.
type sampler struct {
	subsystem string
	labels    []label
	samples   []sample
}

func (s *sampler) counter(name, help string, v int64, more ...label) {
	s.add(name, help, false, v, more)
}

func (s *sampler) gauge(name, help string, v int64) { s.add(name, help, true, v, nil) }

func (s *sampler) add(name, help string, gauge bool, v int64, more []label) {
	s.samples = append(s.samples, sample{
		subsystem: s.subsystem, name: name, help: help, gauge: gauge, labels: slices.Concat(s.labels, more), value: float64(v),
	})
}

// failures adds those of clients, by kind; of usage and of binding end the command.
func (s *sampler) failures(by *[tincan.KindBind + 1]atomic.Int64) {
	for kind := tincan.KindOther; kind <= tincan.KindBind; kind++ {
		if kind != tincan.KindUsage && kind != tincan.KindBind {
			s.counter("failures_total", failuresHelp, by[kind].Load(), label{"kind", kind.String()})
		}
	}
}
