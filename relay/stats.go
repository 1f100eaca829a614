package relay

import (
	"cmp"
	"net"
	"slices"
	"time"

	"github.com/tincan-ipc/tincan"
)

// Stats count what a [Forwarder] did since it began.
type Stats struct {
	// Live is how many clients there are, those included for which a target is still sought.
	Live int
	// Accepted is how many were handed over in all.
	Accepted uint64
	// Unreached is how many found no target that answered, Failed how many were relayed
	// and ended by an error, which a reset and a timeout are.
	Unreached, Failed uint64
	// Dropped is how many messages were lost alone, because they were too long.
	Dropped int64
	// Forward and Backward are the bytes that were passed on to targets and to clients.
	Forward, Backward int64
}

// A Pair is a client of a [Forwarder] and its target, as they were at one moment.
type Pair struct {
	// ID tells pairs apart. It grows with each client.
	ID uint64
	// Client is the client's address.
	Client net.Addr
	// Target is nil as long as none has answered.
	Target *tincan.Endpoint
	// Since is when the client was handed over.
	Since time.Time
	// Forward and Backward are the bytes that were passed on to the target and to the client.
	Forward, Backward int64
}

// Stats gives the counts of this moment. It may be called at any time, and takes time with the clients that are here.
func (f *Forwarder) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.past
	s.Live = len(f.live)
	for _, p := range f.live {
		if p != nil {
			s.add(p)
		}
	}
	return s
}

func (s *Stats) add(p *pair) {
	s.Forward += p.count[Forward].Load()
	s.Backward += p.count[Backward].Load()
	s.Dropped += p.dropped.Load()
}

// Pairs gives the clients that are here, the longest first. It may be called at any time.
func (f *Forwarder) Pairs() []Pair {
	f.mu.Lock()
	defer f.mu.Unlock()
	pairs := make([]Pair, 0, len(f.live))
	for id, p := range f.live {
		now := *id
		if p != nil {
			now.Forward, now.Backward = p.count[Forward].Load(), p.count[Backward].Load()
		}
		pairs = append(pairs, now)
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.ID, b.ID) })
	return pairs
}

// enter notes that a client is here.
func (f *Forwarder) enter(client tincan.Conn) *Pair {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live == nil {
		f.live = map[*Pair]*pair{}
	}
	f.past.Accepted++
	id := &Pair{ID: f.past.Accepted, Client: client.RemoteAddr(), Since: time.Now()}
	f.live[id] = nil
	return id
}

// join notes that its target has answered.
func (f *Forwarder) join(id *Pair, target *tincan.Endpoint, p *pair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id.Target = target
	f.live[id] = p
}

// leave notes that it has ended.
func (f *Forwarder) leave(id *Pair, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.live[id]
	delete(f.live, id)
	switch {
	case p == nil:
		f.past.Unreached++
		return
	case err != nil:
		f.past.Failed++
	}
	f.past.add(p)
}
