// Package dash is the command's dashboard: one page that shows connections,
// message sockets and counters as they are now, and how each connection lives.
//
// A [Model] is told what happens and keeps it as published state, bounded
// whatever the clients do; a [Handler] serves the page and that state to
// a browser that knows the token.
package dash

import (
	"context"
	"net"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
	"github.com/tincan-ipc/tincan/state"
)

// Bounds of a [Model].
const (
	// MaxConns is how many connections are listed, those that ended among them. More are only counted.
	MaxConns = 1000
	// MaxEnded is how many that ended are kept, and KeepEnded for how long.
	MaxEnded  = 200
	KeepEnded = 2 * time.Minute
	// History is how many samples are kept, one a second.
	History = 600
)

// sampleEvery is how often rates are sampled, and newsEvery how soon what happened is published.
const (
	sampleEvery = time.Second
	newsEvery   = 100 * time.Millisecond
)

// Totals are what the command has counted since it began, but for Open.
type Totals struct {
	Received, Sent                 int64 // bytes
	Connections, Open              int64
	MessagesReceived, MessagesSent int64
	Dropped, Failed                int64
}

// About is what the page says of the command itself.
type About struct {
	Verb    string    `json:"verb"`
	Version string    `json:"version"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Try are lines for a shell that make something to look at.
	Try []string `json:"try,omitempty"`
	// State tells that /published/events has a state of the command's own.
	State bool `json:"state,omitempty"`
}

// A Model is what the dashboard shows. Its methods may be called at once, of a nil pointer too, and do nothing then:
// so it is where no dashboard is asked for. They don't block.
type Model struct {
	table  *state.Table
	totals func() Totals
	news   chan struct{} // holds one where there is something to publish before the next sample

	sampled time.Time // last; Run alone uses it

	mu        sync.Mutex // guards what follows
	about     About
	last      uint64 // id of a connection
	lastKey   uint64 // of a listener
	conns     map[uint64]*Conn
	byConn    map[tincan.Conn]*Conn
	ended     []*Conn            // the first to end first
	dirty     map[*Conn]struct{} // to be published with the news
	followed  map[uint64]int     // how many browsers look at a connection's life
	sockets   []*Socket
	unlisted  int64 // connections that found no room
	before    Totals
	latencies [len(latencyNames)]latency
	history   []Sample // the oldest first
}

// NewModel gives a model that publishes to table, and takes the command's counts from totals.
func NewModel(table *state.Table, about About, totals func() Totals) *Model {
	m := &Model{
		table: table, totals: totals, about: about, news: make(chan struct{}, 1), sampled: time.Now(),
		conns: map[uint64]*Conn{}, byConn: map[tincan.Conn]*Conn{}, dirty: map[*Conn]struct{}{}, followed: map[uint64]int{},
	}
	m.publish("about", about)
	return m
}

// Run samples and publishes until ctx ends.
func (m *Model) Run(ctx context.Context) {
	ticks := time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			m.sample(now)
			continue
		case <-m.news:
		}
		m.publishNews()
		select {
		case <-ctx.Done():
			return
		case <-time.After(newsEvery):
		}
	}
}

// publish never fails for a value of this package's, but by the table's own bounds, which are over this model's.
func (m *Model) publish(key string, value any) { _ = m.table.Set(key, value) }

// Suggest adds lines for a shell that make something to look at.
func (m *Model) Suggest(try ...string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.about.Try = append(m.about.Try, try...)
	m.publish("about", m.about)
}

// Publishing tells that the command has a state of its own to show.
func (m *Model) Publishing() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.about.State = true
	m.publish("about", m.about)
}

// Listening tells of an endpoint that clients can connect to.
func (m *Model) Listening(service, url string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastKey++
	m.publish(key("listen", m.lastKey), map[string]any{"id": m.lastKey, "service": service, "url": url})
}

// wake has what is dirty published soon.
func (m *Model) wake() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// touch marks c as changed.
func (m *Model) touch(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty[c] = struct{}{}
	m.wake()
}

// publishNews publishes the connections to which something happened.
func (m *Model) publishNews() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.dirty {
		m.publishConn(c)
	}
	clear(m.dirty)
}

// publishConn publishes c, and its life where somebody looks at it. m.mu is held.
func (m *Model) publishConn(c *Conn) {
	if m.conns[c.id] != c {
		return // it was forgotten
	}
	m.publish(key("conn", c.id), c.value())
	if m.followed[c.id] > 0 {
		m.publish(key("life", c.id), c.lifeValue())
	}
}

// sample takes the rates of the time since the last sample, and forgets what is old. Run alone calls it.
func (m *Model) sample(now time.Time) {
	seconds := now.Sub(m.sampled).Seconds()
	if seconds <= 0 {
		return
	}
	m.sampled = now
	m.mu.Lock()
	sockets := slices.Clone(m.sockets)
	m.mu.Unlock()
	for _, s := range sockets {
		m.publish(key("socket", s.id), s.sample(seconds))
	}
	totals := m.totals()

	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.rate(seconds)
		m.publishConn(c)
	}
	clear(m.dirty)
	for len(m.ended) > 0 && (len(m.ended) > MaxEnded || now.Sub(m.ended[0].endedAt()) >= KeepEnded) {
		m.forgetOldest()
	}
	m.addSample(now, seconds, totals)
}

// addSample publishes what passed altogether.
func (m *Model) addSample(now time.Time, seconds float64, t Totals) {
	rate := func(now, before int64) float64 { return float64(now-before) / seconds }
	s := Sample{
		At:       now.UnixMilli(),
		Received: rate(t.Received, m.before.Received), Sent: rate(t.Sent, m.before.Sent),
		MessagesReceived: rate(t.MessagesReceived, m.before.MessagesReceived), MessagesSent: rate(t.MessagesSent, m.before.MessagesSent),
		Accepted: rate(t.Connections, m.before.Connections), Open: t.Open,
		Latency: map[string]Quantiles{},
	}
	for i := range m.latencies {
		if q, ok := m.latencies[i].take(); ok {
			s.Latency[latencyNames[i]] = q
		}
	}
	m.before = t
	if len(m.history) == History {
		m.history = slices.Delete(m.history, 0, 1)
	}
	m.history = append(m.history, s)
	m.publish("traffic", s)
	m.publish("totals", map[string]int64{
		"received": t.Received, "sent": t.Sent, "connections": t.Connections, "open": t.Open, "dropped": t.Dropped, "failed": t.Failed,
		"messages-received": t.MessagesReceived, "messages-sent": t.MessagesSent, "unlisted": m.unlisted,
	})
}

// A Sample is what passed in one second.
type Sample struct {
	At               int64                `json:"at"` // milliseconds since the Unix epoch
	Received         float64              `json:"received"`
	Sent             float64              `json:"sent"`
	MessagesReceived float64              `json:"messages-received,omitempty"`
	MessagesSent     float64              `json:"messages-sent,omitempty"`
	Accepted         float64              `json:"accepted"`
	Open             int64                `json:"open"`
	Latency          map[string]Quantiles `json:"latency,omitempty"`
}

// Samples gives the samples of the last minutes, the oldest first.
func (m *Model) Samples() []Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.history)
}

// follow has the life of connection id published until the function that it gives is called.
func (m *Model) follow(id uint64) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.followed[id]++
	if c := m.conns[id]; c != nil {
		c.follow(true)
		m.publishConn(c)
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.followed[id]--; m.followed[id] > 0 {
			return
		}
		delete(m.followed, id)
		m.table.Delete(key("life", id))
		if c := m.conns[id]; c != nil {
			c.follow(false)
		}
	}
}

// add lists a connection, nil where there is no room for it. conn may be nil where no trace will tell of it.
func (m *Model) add(conn tincan.Conn, v value) *Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.conns) >= MaxConns && len(m.ended) > 0 {
		m.forgetOldest()
	}
	if len(m.conns) >= MaxConns {
		m.unlisted++
		return nil
	}
	m.last++
	now := time.Now()
	v.ID, v.Since, v.State = m.last, now.UnixMilli(), stateOpen
	c := &Conn{m: m, id: m.last, started: now, about: v}
	m.conns[c.id] = c
	m.index(conn, c)
	m.dirty[c] = struct{}{}
	m.wake()
	return c
}

// addTarget has traces that tell of target, or of what it wraps, tell of c's target.
func (m *Model) addTarget(target tincan.Conn, c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index(target, c)
}

// index has c found by conn, where that can be the key of a map. m.mu is held.
func (m *Model) index(conn tincan.Conn, c *Conn) {
	if hashable(conn) {
		m.byConn[conn] = c
		c.keys = append(c.keys, conn)
	}
}

// end notes that c has ended, once.
func (m *Model) end(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range c.keys {
		delete(m.byConn, conn)
	}
	c.keys = nil
	if m.conns[c.id] == c {
		m.ended = append(m.ended, c)
		m.dirty[c] = struct{}{}
		m.wake()
	}
}

// forgetOldest forgets the connection that ended first. m.mu is held.
func (m *Model) forgetOldest() {
	c := m.ended[0]
	m.ended = slices.Delete(m.ended, 0, 1)
	delete(m.conns, c.id)
	m.table.Delete(key("conn", c.id))
	m.table.Delete(key("life", c.id))
}

// Conn gives the record of conn, or of the one that it wraps; nil where it has none.
func (m *Model) Conn(conn tincan.Conn) *Conn {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn != nil {
		if hashable(conn) && m.byConn[conn] != nil {
			return m.byConn[conn]
		}
		switch w := conn.(type) {
		case interface{ Unwrap() tincan.Conn }:
			conn = w.Unwrap()
		default:
			conn = nil
		}
	}
	return nil
}

// hashable reports whether conn can be the key of a map.
func hashable(conn tincan.Conn) bool { return conn != nil && reflect.TypeOf(conn).Comparable() }

// Trace gives what tells the model of the connections of listeners. It is nil for a nil model.
func (m *Model) Trace() *tincan.Trace {
	if m == nil {
		return nil
	}
	return narrate.Steps(m.step)
}

// step takes in a step of some connection.
func (m *Model) step(s narrate.Step) {
	switch {
	case s.Kind == narrate.Accept:
		m.add(s.Conn, describe(s.Conn, s.Listener)).step(s)
	case s.Kind == narrate.Abort:
		m.refused(s)
	case s.Kind == narrate.Drop:
		m.find(s.Listener, s.Remote).step(s)
	case s.Conn != nil:
		m.Conn(s.Conn).step(s)
	}
}

// find gives the connection that came in at listener from remote and lives, nil where there is none.
func (m *Model) find(listener, remote net.Addr) *Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.byConn {
		if c.isOf(listener, remote) {
			return c
		}
	}
	return nil
}

// refused lists a client that was turned away: unless that happened after it was accepted, it hasn't been.
func (m *Model) refused(s narrate.Step) {
	c := m.find(s.Listener, s.Remote)
	if c == nil {
		v := value{Role: roleAccepted, Peer: narrate.Name(s.Remote), At: narrate.Name(s.Listener)}
		v.Family = family(s.Listener, s.Remote)
		c = m.add(nil, v)
	}
	c.step(s)
}
