package cli

import (
	"errors"
	"net"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestClientsHere: who is here, with what has passed until now, and who has gone.
func TestClientsHere(t *testing.T) {
	all := &counters{clients: map[*client]struct{}{}}
	s := all.serving("serve", false)
	s.show(label{"service", "echo"}, label{"endpoint", "tcp://127.0.0.1:7"})
	hooks := s.hooks(&tincan.Trace{})
	var conns [2]net.Conn
	for i := range conns {
		near, far := net.Pipe()
		defer far.Close()
		go func() { _, _ = far.Write([]byte("hello")) }()
		conns[i] = s.stream(near)
		if _, err := conns[i].Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	here := all.here()
	if len(here) != 2 || here[0].conn != conns[0] || here[1].conn != conns[1] || here[0].id >= here[1].id {
		t.Fatalf("here are %v", here)
	}
	if n := here[1].received.Load(); n != 5 {
		t.Errorf("%d bytes came from the second", n)
	}
	hooks.Closed(conns[0], 5, 0, errors.New("it fell over"))
	_ = conns[0].Close()
	if here = all.here(); len(here) != 1 || here[0].conn != conns[1] {
		t.Errorf("here are %v", here)
	}
	hooks.Closed(conns[1], 5, 0, nil)
	_ = conns[1].Close()
	if here = all.here(); len(here) != 0 || s.open.Load() != 0 || s.connections.Load() != 2 || s.received.Load() != 10 {
		t.Errorf("here are %v, open %d of %d, received %d", here, s.open.Load(), s.connections.Load(), s.received.Load())
	}
	if n := s.failures[tincan.KindOther].Load(); n != 1 {
		t.Errorf("%d have failed", n)
	}
}

// TestNoCounters: where nobody asks, everything is left as it is.
func TestNoCounters(t *testing.T) {
	var none *counters
	s := none.serving("serve", true)
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	if s.stream(near) != near {
		t.Error("a connection is wrapped")
	}
	trace := &tincan.Trace{}
	if s.hooks(trace) != trace {
		t.Error("a trace is wrapped")
	}
	if s.streams(nil) != nil || s.messages(nil) != nil || s.message(nil) != nil || s.answering(nil, true) != nil || none.socket(nil) != nil {
		t.Error("something is made of nothing")
	}
}
