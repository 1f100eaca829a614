package cli

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/dash"
	"github.com/tincan-ipc/tincan/internal/narrate"
	"github.com/tincan-ipc/tincan/pattern"
)

// A countedSocket is a message socket, with what its own counters don't tell.
type countedSocket struct {
	record *dash.Socket // what the dashboard keeps of it, nil without

	retries  atomic.Int64
	failures [tincan.KindBind + 1]atomic.Int64

	mu     sync.Mutex // guards what follows
	labels []label
	socket socketState // nil until it is made
	urls   []string    // where it finds its peers
}

// socketState is what a message socket tells of itself.
type socketState interface {
	Stats() pattern.Stats
	Peers() []pattern.PeerInfo
}

// socket counts what happens to a message socket, that o will be given to, beside what o tells already. The
// labels tell it from the others of the process.
func (c *counters) socket(o *pattern.Options, labels ...label) *countedSocket {
	if c == nil {
		return nil
	}
	s := &countedSocket{labels: labels}
	s.record = c.model.Socket(kindOfSocket(labels), func() dash.MessageSocket {
		if socket, _ := s.now(); socket != nil {
			return socket
		}
		return nil
	})
	told := o.OnEvent
	o.OnEvent = func(e pattern.Event) {
		s.event(e)
		s.record.Event(e)
		if told != nil {
			told(e)
		}
	}
	lc := *o.ListenConfig
	lc.Trace = s.refusals(lc.Trace)
	o.ListenConfig = &lc
	if s.record != nil && o.Dialer != nil {
		d := *o.Dialer
		d.Trace = narrate.Join(d.Trace, s.record.Trace())
		o.Dialer = &d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = append(c.sockets, s)
	return s
}

// kindOfSocket is what a socket's labels call it: its type, or the side of a proxy.
func kindOfSocket(labels []label) string {
	last := labels[len(labels)-1]
	return last.value
}

// refusals gives t with the counting of clients that a rule of the endpoint turned away, of which no event tells.
func (s *countedSocket) refusals(t *tincan.Trace) *tincan.Trace {
	counting := *t
	counting.Refused = func(listener, remote net.Addr, err error) {
		s.failures[kindOf(err)].Add(1)
		if t.Refused != nil {
			t.Refused(listener, remote, err)
		}
	}
	return &counting
}

// made tells which socket it is. A nil s is nobody's.
func (s *countedSocket) made(socket socketState) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = socket
}

// at notes one more endpoint, that is listened on or dialled.
func (s *countedSocket) at(url string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = append(s.urls, url)
	s.record.Endpoint(url)
}

// event counts what the socket itself doesn't.
func (s *countedSocket) event(e pattern.Event) {
	switch e.Kind {
	case pattern.EventRetrying:
		s.retries.Add(1)
	case pattern.EventHandshakeFailed, pattern.EventRefused, pattern.EventDisconnected:
		if e.Err != nil {
			s.failures[kindOf(e.Err)].Add(1)
		}
	}
}

// now gives the socket, nil before it is made, and the labels.
func (s *countedSocket) now() (socketState, []label) {
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := s.labels[:len(s.labels):len(s.labels)]
	return s.socket, append(labels, label{"endpoint", strings.Join(s.urls, " ")})
}

// appendSamples appends the socket's numbers.
func (s *countedSocket) appendSamples(to []sample) []sample {
	socket, labels := s.now()
	if socket == nil {
		return to
	}
	stats := socket.Stats()
	of := sampler{subsystem: "socket", labels: labels, samples: to}
	of.counter("connections_total", connectionsHelp, int64(stats.Connects))
	of.gauge("connections_open", openHelp, int64(stats.Peers))
	for _, way := range []struct {
		name            string
		messages, bytes uint64
	}{{"received", stats.Received, stats.ReceivedBytes}, {"sent", stats.Sent, stats.SentBytes}} {
		of.counter("messages_total", "Messages received by the program, and queued for a peer.", int64(way.messages), label{"direction", way.name})
		of.counter("bytes_total", bytesHelp, int64(way.bytes), label{"direction", way.name})
	}
	of.gauge("queued_messages", "Messages that wait to be sent.", int64(stats.Queued))
	of.gauge("waiting_messages", "Messages that wait to be received.", int64(stats.Waiting))
	of.counter("dropped_messages_total", droppedHelp, int64(stats.Dropped))
	of.counter("unroutable_messages_total", "Messages for peers that weren't there.", int64(stats.Unroutable))
	of.counter("retries_total", retriesHelp, s.retries.Load())
	of.failures(&s.failures)
	return of.samples
}
