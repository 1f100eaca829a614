package dash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/state"
)

// An addr is an address of a network.
type addr struct{ network, text string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.text }

// A conn is a connection that only has addresses.
type conn struct {
	net.Conn
	remote addr
}

func (c *conn) LocalAddr() net.Addr  { return addr{"tcp", "127.0.0.1:80"} }
func (c *conn) RemoteAddr() net.Addr { return c.remote }
func (c *conn) Close() error         { return nil }

// A wrapper is a connection around another.
type wrapper struct{ *conn }

func (w wrapper) Unwrap() tincan.Conn { return w.conn }

var listener = addr{"tcp", "tcp://127.0.0.1:80"}

func newConn(port int) *conn { return &conn{remote: addr{"tcp", fmt.Sprintf("127.0.0.1:%d", port)}} }

// A stage is a model that runs.
type stage struct {
	t     *testing.T
	table *state.Table
	model *Model

	mu     sync.Mutex // guards totals
	totals Totals
}

func (s *stage) count(change func(*Totals)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.totals)
}

// run runs test with a model, in a bubble with a time of its own.
func run(t *testing.T, test func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, table: &state.Table{}}
		s.model = NewModel(s.table, About{Verb: "serve"}, func() Totals {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.totals
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.model.Run(ctx) })
		test(s)
		cancel()
		running.Wait()
	})
}

// wait lets so much time pass.
func (s *stage) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// get decodes a published value.
func get[V any](s *stage, key string) V {
	s.t.Helper()
	text, ok := s.table.Get(key)
	if !ok {
		s.t.Fatalf("%s is not published", key)
	}
	var v V
	if err := json.Unmarshal(text, &v); err != nil {
		s.t.Fatalf("%s: %v", key, err)
	}
	return v
}

func (s *stage) has(key string) bool {
	_, ok := s.table.Get(key)
	return ok
}

func TestConnectionIsShownAsItLives(t *testing.T) {
	run(t, func(s *stage) {
		c, trace := newConn(5000), s.model.Trace()
		trace.Accepted(listener, c)
		s.wait(newsEvery)
		v := get[value](s, "conn.1")
		want := value{
			ID: 1, Role: roleAccepted, Peer: "127.0.0.1:5000", Local: "127.0.0.1:80", At: listener.text,
			Family: "tcp, IPv4", State: stateOpen, Since: v.Since,
		}
		if diff := cmp.Diff(want, v); diff != "" {
			t.Fatal(diff)
		}
		defer s.model.follow(1)()
		record := s.model.Conn(wrapper{c})
		s.wait(50 * time.Millisecond)
		record.Passed(10, 0, "")
		record.Passed(4, 0, "")
		record.Passed(0, 14, "")
		s.wait(850 * time.Millisecond) // the first sample
		if v = get[value](s, "conn.1"); v.Received != 14 || v.Sent != 14 || v.ReceivedRate != 14 || v.FirstByte != 150 {
			t.Errorf("after bytes: %+v", v)
		}
		s.wait(time.Second)
		if v = get[value](s, "conn.1"); v.ReceivedRate != 0 || v.SentRate != 0 {
			t.Errorf("after silence: %+v", v)
		}
		trace.HalfClosed(wrapper{c}, tincan.Remote)
		s.wait(newsEvery)
		if v = get[value](s, "conn.1"); v.State != stateHalfRemote {
			t.Errorf("after the peer's end: %+v", v)
		}
		trace.Closed(wrapper{c}, 14, 14, nil)
		s.wait(newsEvery)
		if v = get[value](s, "conn.1"); v.State != stateEnded || v.Outcome != "closed" || v.Ended-v.Since != 2100 {
			t.Errorf("after its end: %+v", v)
		}
		record.Passed(1, 1, "") // too late: nothing of it may come back
		s.wait(newsEvery)

		var steps []string
		for _, step := range get[lifeValue](s, "life.1").Steps {
			steps = append(steps, fmt.Sprintf("%v %s %s %s: %s | %s | %s", step.At, step.Kind, step.Side, step.Way, step.What, step.Call, step.Result))
		}
		if diff := cmp.Diff([]string{
			"0 accept peer in: accept 127.0.0.1:5000 on tcp://127.0.0.1:80 | accept(2) | ",
			"150 receive peer in: receive 14 bytes | read(2) | ",
			"150 send peer out: send 14 bytes | write(2) | ",
			"2000 half-close peer in: half-close from 127.0.0.1:5000 | read(2) = 0 | ",
			"2100 close peer out: close 127.0.0.1:5000 | close(2) | received 14, sent 14",
		}, steps); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRelayedConnectionHasItsTargetsSteps(t *testing.T) {
	run(t, func(s *stage) {
		client, target := newConn(5000), newConn(6000)
		s.model.Trace().Accepted(listener, client)
		record := s.model.Conn(client)
		dial := record.Dialling()
		dial.Resolved("app", []string{"127.0.0.1"}, time.Millisecond, nil)
		dial.Connecting("tcp", "127.0.0.1:6000")
		dial.Connected("tcp", "127.0.0.1:6000", 2*time.Millisecond, nil)
		record.Joined(target, "127.0.0.1:6000")
		record.Passed(5, 0, "splice(2)")
		record.Passed(0, 7, "")
		s.model.Trace().HalfClosed(target, tincan.Remote)
		record.End(syscall.ECONNRESET, true)
		defer s.model.follow(1)()
		life := get[lifeValue](s, "life.1")
		var steps []string
		for _, step := range life.Steps {
			steps = append(steps, strings.Join([]string{step.Kind, step.Side, step.Way, step.Call}, " "))
		}
		if diff := cmp.Diff([]string{
			"accept peer in accept(2)", "resolve target self getaddrinfo(3)", "socket target self socket(2)", "connect target out connect(2)",
			"connected target in connect(2)", "receive through in splice(2)", "send through out read(2), write(2)",
			"half-close target in read(2) = 0", "reset target in read(2) or write(2)",
		}, steps); diff != "" {
			t.Error(diff)
		}
		s.wait(time.Second)
		v := get[value](s, "conn.1")
		if v.Target != "127.0.0.1:6000" || v.Outcome != "reset" || v.State != stateEnded {
			t.Errorf("%+v", v)
		}
		if q := get[Sample](s, "traffic").Latency["dial"]; q.Count != 1 || q.P50 != 2 || q.Max != 2 {
			t.Errorf("dial times %+v", q)
		}
	})
}

// TestStepsTellTheirNetwork: a client of TCP may be relayed to a Unix socket.
func TestStepsTellTheirNetwork(t *testing.T) {
	run(t, func(s *stage) {
		client := newConn(5000)
		s.model.Trace().Accepted(listener, client)
		record := s.model.Conn(client)
		dial := record.Dialling()
		dial.Connecting("unix", "/run/app")
		dial.Connected("unix", "/run/app", time.Millisecond, nil)
		record.Joined(newConn(6000), "unix:///run/app")
		record.Passed(5, 0, "")
		defer s.model.follow(1)()
		var networks []string
		for _, step := range get[lifeValue](s, "life.1").Steps {
			networks = append(networks, step.Kind+" "+step.Network)
		}
		if diff := cmp.Diff([]string{"accept ", "socket unix", "connect unix", "connected unix", "receive "}, networks); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEndedConnectionsAgeOut(t *testing.T) {
	run(t, func(s *stage) {
		trace := s.model.Trace()
		for i := range MaxEnded + 50 {
			c := newConn(1000 + i)
			trace.Accepted(listener, c)
			trace.Closed(c, 0, 0, nil)
		}
		stays := newConn(1)
		trace.Accepted(listener, stays)
		s.wait(sampleEvery)
		if n := len(s.table.Snapshot("conn.").Values); n != MaxEnded+1 {
			t.Errorf("%d connections are listed, want %d", n, MaxEnded+1)
		}
		s.wait(KeepEnded - 2*sampleEvery)
		if n := len(s.table.Snapshot("conn.").Values); n != MaxEnded+1 {
			t.Errorf("%d connections before their time", n)
		}
		s.wait(2 * sampleEvery)
		if got := s.table.Snapshot("conn.").Values; len(got) != 1 || got[fmt.Sprintf("conn.%d", MaxEnded+51)] == nil {
			t.Errorf("%d connections after it", len(got))
		}
		if n := len(s.model.byConn); n != 1 {
			t.Errorf("%d connections are still known", n)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	run(t, func(s *stage) {
		trace := s.model.Trace()
		conns := make([]*conn, MaxConns+10)
		for i := range conns {
			conns[i] = newConn(1000 + i)
			trace.Accepted(listener, conns[i])
		}
		s.wait(sampleEvery)
		if n := len(s.table.Snapshot("conn.").Values); n != MaxConns {
			t.Errorf("%d connections are listed, want %d", n, MaxConns)
		}
		if totals := get[map[string]int64](s, "totals"); totals["unlisted"] != 10 {
			t.Errorf("totals %v", totals)
		}
		unlisted := s.model.Conn(conns[MaxConns])
		if unlisted != nil {
			t.Error("one that found no room has a record")
		}
		unlisted.Passed(1, 1, "") // does nothing
		trace.Closed(conns[MaxConns], 1, 1, nil)

		// One that ended makes room.
		trace.Closed(conns[0], 0, 0, nil)
		trace.Accepted(listener, newConn(9))
		s.wait(newsEvery)
		if s.has("conn.1") || !s.has(fmt.Sprintf("conn.%d", MaxConns+1)) {
			t.Error("the one that ended did not make room for the one that came")
		}
	})
}

func TestLifeIsBounded(t *testing.T) {
	run(t, func(s *stage) {
		c := newConn(5000)
		s.model.Trace().Accepted(listener, c)
		defer s.model.follow(1)()
		for range 500 {
			s.model.Conn(c).Passed(3, 0, "")
			s.model.Conn(c).Passed(0, 3, "")
		}
		s.wait(newsEvery)
		life := get[lifeValue](s, "life.1")
		if len(life.Steps) != keepFirst+keepLast || life.Omitted != 1001-len(life.Steps) || life.After != keepFirst {
			t.Errorf("%d steps, %d omitted after %d", len(life.Steps), life.Omitted, life.After)
		}
		if first, last := life.Steps[0], life.Steps[len(life.Steps)-1]; first.Kind != "accept" || last.N != 1000 {
			t.Errorf("first %+v, last %+v", first, last)
		}
	})
}

func TestLifeIsPublishedForThoseWhoLook(t *testing.T) {
	run(t, func(s *stage) {
		c := newConn(5000)
		s.model.Trace().Accepted(listener, c)
		s.wait(sampleEvery)
		if s.has("life.1") {
			t.Error("published for nobody")
		}
		one, two := s.model.follow(1), s.model.follow(1)
		s.model.Conn(c).Passed(1, 0, "")
		s.wait(2 * newsEvery)
		if n := len(get[lifeValue](s, "life.1").Steps); n != 2 {
			t.Errorf("%d steps", n)
		}
		one()
		if !s.has("life.1") {
			t.Error("taken away while another looks")
		}
		two()
		s.wait(sampleEvery)
		if s.has("life.1") {
			t.Error("still published")
		}
		s.model.follow(99)() // there is none
	})
}

func TestRefusedClients(t *testing.T) {
	run(t, func(s *stage) {
		trace := s.model.Trace()
		trace.Refused(listener, addr{"tcp", "[::1]:7"}, errors.New("not allowed"))
		accepted := newConn(5000)
		trace.Accepted(listener, accepted)
		trace.Refused(listener, accepted.remote, io.ErrUnexpectedEOF) // its handshake failed
		s.wait(newsEvery)
		for key, peer := range map[string]string{"conn.1": "[::1]:7", "conn.2": "127.0.0.1:5000"} {
			if v := get[value](s, key); v.Peer != peer || v.State != stateEnded || v.Outcome != "refused" || v.Error == "" {
				t.Errorf("%s: %+v", key, v)
			}
		}
		if n := len(s.table.Snapshot("conn.").Values); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestSamples(t *testing.T) {
	run(t, func(s *stage) {
		s.count(func(t *Totals) { *t = Totals{Received: 1000, Sent: 10, Connections: 3, Open: 2} })
		for _, ms := range []int{1, 2, 3, 4, 100} {
			s.model.Took(FirstByte, time.Duration(ms)*time.Millisecond)
		}
		s.wait(sampleEvery)
		s.count(func(t *Totals) { t.Received += 500 })
		s.wait(sampleEvery)
		samples := s.model.Samples()
		for i := range samples {
			samples[i].At = 0
		}
		if diff := cmp.Diff([]Sample{
			{Received: 1000, Sent: 10, Accepted: 3, Open: 2, Latency: map[string]Quantiles{"first-byte": {Count: 5, P50: 3, P99: 100, Max: 100}}},
			{Received: 500, Open: 2, Latency: map[string]Quantiles{}},
		}, samples); diff != "" {
			t.Error(diff)
		}
		s.wait((History + 5) * sampleEvery)
		if n := len(s.model.Samples()); n != History {
			t.Errorf("%d samples are kept, want %d", n, History)
		}
	})
}

func TestManyTimesAreBounded(t *testing.T) {
	var l latency
	for i := range 100 * maxTimes {
		l.add(time.Duration(i) * time.Microsecond)
	}
	if len(l.times) != maxTimes {
		t.Fatalf("%d times are kept", len(l.times))
	}
	q, ok := l.take()
	if !ok || q.Count != 100*maxTimes || q.Max != milliseconds((100*maxTimes-1)*time.Microsecond) {
		t.Errorf("%+v", q)
	}
	if middle := q.Max / 2; q.P50 < middle*0.8 || q.P50 > middle*1.2 {
		t.Errorf("a median of %v of times up to %v: the choice is not fair", q.P50, q.Max)
	}
	if _, ok := l.take(); ok {
		t.Error("what was taken is still there")
	}
}

// TestNilRecordsDoNothing is the command without --dashboard.
func TestNilRecordsDoNothing(t *testing.T) {
	var m *Model
	if m.Trace() != nil || m.Conn(newConn(1)) != nil || m.Socket("REP", nil) != nil {
		t.Error("a nil model gives something")
	}
	m.Took(Reply, 1)
	m.Suggest("x")
	m.Listening("", "x")
	m.Publishing()
	c := m.Conn(nil)
	c.Passed(1, 1, "")
	c.End(nil, false)
	c.Joined(nil, "")
	if c.Dialling() != nil {
		t.Error("a nil record gives a trace")
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	table := &state.Table{}
	m := NewModel(table, About{}, func() Totals { return Totals{} })
	var sampling, clients sync.WaitGroup
	done := make(chan struct{})
	sampling.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				m.sample(time.Now())
			}
		}
	})
	for i := range 8 {
		clients.Go(func() {
			for j := range 50 {
				c := newConn(1000 + 100*i + j)
				m.Trace().Accepted(listener, c)
				stop := m.follow(uint64(j))
				m.Conn(c).Passed(1, 2, "")
				m.Trace().Closed(c, 1, 2, nil)
				stop()
				m.publishNews()
			}
		})
	}
	clients.Wait()
	close(done)
	sampling.Wait()
	if m.last != 400 {
		t.Errorf("%d connections, want 400", m.last)
	}
}
