package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Server lets clients follow a table, by the state protocol: over byte streams, messages, HTTP and ZMTP. Its methods may be
// called at once; its fields must not change once they are.
//
// No client waits for another. One that doesn't read is told of the latest change of each key when it does, and how many
// it missed; until then it costs a buffer of some 32 KiB, or a snapshot.
type Server struct {
	// Table is what is served.
	Table *Table
	// Writable lets clients change the table.
	Writable bool

	counts counters
	ending ending
}

// Stats is what a server has done so far.
type Stats struct {
	// Followers are the clients that follow now, on whatever transport; a ZMTP socket is one, however many peers it has.
	Followers int
	// Changes is the number of the table's last change.
	Changes uint64
	// Delivered are the changes that were sent, to all clients together, Snapshots the snapshots, and Missed the
	// changes that were not, since the client was slow and a later change of the key had come.
	Delivered, Snapshots, Missed uint64
	// Requests are the lines that clients sent, Refused those of them that were answered by an error.
	Requests, Refused uint64
}

// counters are a server's [Stats] as they are counted.
type counters struct {
	followers                                       atomic.Int64
	delivered, snapshots, missed, requests, refused atomic.Uint64
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Followers: int(c.followers.Load()), Changes: s.Table.Seq(),
		Delivered: c.delivered.Load(), Snapshots: c.snapshots.Load(), Missed: c.missed.Load(),
		Requests: c.requests.Load(), Refused: c.refused.Load(),
	}
}

// Finish has every client be told of all changes there have been, and then ends its connection in order. New clients get the
// state and are ended as well. It does not wait; the methods that serve clients return one by one, and the end of their
// ctx still ends those whose client doesn't read.
func (s *Server) Finish() { s.ending.begin() }

// An ending is an event that comes once. The zero value works.
type ending struct {
	once sync.Once
	mu   sync.Mutex // guards ch
	ch   chan struct{}
}

func (e *ending) wait() chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ch == nil {
		e.ch = make(chan struct{})
	}
	return e.ch
}

func (e *ending) begin() { e.once.Do(func() { close(e.wait()) }) }

// batchSize is how many bytes of changes are sent to a client at once.
const batchSize = 32 << 10

// A sink is the way to one client. Its methods may block until what they sent has been taken.
type sink interface {
	snapshot(object []byte, seq uint64) error
	changes(list []pending) error
	fault(object []byte) error
	// idle is called every so often while there is nothing to send. An error tells that the client has gone.
	idle() error
}

// idleTime is how often a sink's idle is called.
const idleTime = 15 * time.Second

// An ask is a request that the client sent, or what it is to be told of it.
type ask struct {
	narrow []string // to these prefixes, where neither of the errors is set
	err    error    // it is to be told
	last   bool     // and nothing after it
	end    error    // nothing can be told any more
}

// follow tells a client of the table until ctx ends, the server finishes, or the sink fails. Its
// requests come from asks, which may be nil.
func (s *Server) follow(ctx context.Context, to sink, asks <-chan ask, prefix ...string) error {
	s.counts.followers.Add(1)
	defer s.counts.followers.Add(-1)
	w := s.Table.Watch(prefix...)
	defer w.Close()
	idle := time.NewTicker(idleTime)
	defer idle.Stop()
	ending := s.ending.wait()
	for finishing := false; ; {
		sent, err := s.tell(w, to)
		switch {
		case err != nil:
			return because(ctx, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case finishing && !sent:
			return nil
		}
		if sent {
			// More may be there by now, but what the client asked goes before.
			select {
			case a := <-asks:
				err = s.answer(a, w, to)
			default:
				continue
			}
		} else {
			select {
			case <-w.bell:
			case a := <-asks:
				err = s.answer(a, w, to)
			case <-idle.C:
				err = to.idle()
			case <-ending:
				finishing, ending = true, nil
			case <-ctx.Done():
			}
		}
		if errors.Is(err, errLast) {
			return err
		} else if err != nil {
			return because(ctx, err)
		}
	}
}

// because gives ctx's error where that has ended what failed.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// batches are the memory of those who tell, which is borrowed while there is something to tell.
var batches = sync.Pool{New: func() any { return &batch{asLine: true} }}

// tell sends what is next, and reports whether there was anything.
func (s *Server) tell(w *Watcher, to sink) (sent bool, err error) {
	b := batches.Get().(*batch)
	defer func() {
		b.reset()
		batches.Put(b)
	}()
	switch err := w.take(b, batchSize); {
	case err != nil:
		return false, err
	case b.snapshot:
		line, seq := s.Table.snapshotLine(b), b.seq
		b.reset() // a slow client shall not hold the values as well
		s.counts.snapshots.Add(1)
		return true, to.snapshot(line, seq)
	case len(b.changes) == 0:
		return false, nil
	}
	s.counts.delivered.Add(uint64(len(b.changes)))
	var missed uint64
	for _, p := range b.changes {
		missed += p.missed
	}
	s.counts.missed.Add(missed)
	return true, to.changes(b.changes)
}

// errLast ends a connection after its client was told why.
var errLast = errors.New("the client broke the protocol")

// answer does what the client asked for.
func (s *Server) answer(a ask, w *Watcher, to sink) error {
	if a.end != nil {
		return a.end
	}
	if a.err == nil {
		w.Narrow(a.narrow...)
		_, err := s.tell(w, to)
		return err
	}
	s.counts.refused.Add(1)
	if err := to.fault(errorLine(a.err)); err != nil {
		return err
	}
	if a.last {
		return fmt.Errorf("%w: %w", errLast, a.err)
	}
	return nil
}

// request does what a client's line asks. It gives what is to be answered, if anything.
func (s *Server) request(line []byte) (a ask, answered bool) {
	s.counts.requests.Add(1)
	r, err := parseRequest(line)
	switch {
	case err != nil:
	case r.set == nil:
		err = checkPrefixes(r.keys, limit(s.Table.MaxKey, DefaultMaxKey))
		return ask{narrow: r.keys, err: err}, true
	case !s.Writable:
		err = ErrNotWritable
	default:
		values := make(map[string]any, len(r.set))
		for key, value := range r.set {
			values[key] = value
		}
		err = s.Table.Apply(values)
	}
	return ask{err: err}, err != nil
}
