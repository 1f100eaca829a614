package relay

import (
	"cmp"
	"context"
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
	for p := range f.live {
		s.add(p)
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
	for p := range f.live {
		now := p.about
		now.Forward, now.Backward = p.count[Forward].Load(), p.count[Backward].Load()
		pairs = append(pairs, now)
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.ID, b.ID) })
	return pairs
}

// enter notes that a client is here.
func (f *Forwarder) enter(ctx context.Context, client tincan.Conn) *pair {
	p := &pair{ctx: ctx, conns: [2]tincan.Conn{client}}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live == nil {
		f.live = map[*pair]struct{}{}
	}
	f.past.Accepted++
	p.about = Pair{ID: f.past.Accepted, Client: client.RemoteAddr(), Since: time.Now()}
	f.live[p] = struct{}{}
	return p
}

// found notes that p's target has answered.
func (f *Forwarder) found(p *pair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.about.Target = p.target
}

// leave notes how p has ended.
func (f *Forwarder) leave(p *pair, err error) {
	f.forget(p, err)
	if f.Ended != nil {
		f.Ended(p.conns[0], p.target, p.result(), err)
	}
}

func (f *Forwarder) forget(p *pair, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, p)
	switch {
	case p.about.Target == nil:
		f.past.Unreached++
		return
	case err != nil:
		f.past.Failed++
	}
	f.past.add(p)
}
