//go:build unix

package pattern

import (
	"sync"
	"sync/atomic"
	"time"
)

// probeAfter is how long a peer is quiet before its reader is made to look whether the connection has ended: at most twice that.
const probeAfter = 50 * time.Millisecond

// A prober wakes the readers that wait unprobed, see rawConn, once nothing came for a while. Its timer runs only while there are such.
type prober struct {
	running atomic.Bool

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	stopped bool
}

// expect has the prober come by.
func (b *prober) expect(s *socket) {
	if b.running.Load() || b.running.Swap(true) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopped:
	case b.timer == nil:
		b.timer = time.AfterFunc(probeAfter, func() { b.probe(s) })
	default:
		b.timer.Reset(probeAfter)
	}
}

// probe wakes those that have waited since the last time, and comes again while there are others.
func (b *prober) probe(s *socket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return
	}
	b.running.Store(false) // what comes to wait from here on calls expect again
	again := false
	for _, p := range s.peerList() {
		if p.raw == nil {
			continue
		}
		waits := p.raw.unprobed.Load()
		if waits && p.raw.suspect {
			p.out.relax()
			_ = p.conn.SetReadDeadline(longAgo)
			waits = false
		}
		p.raw.suspect = waits
		again = again || waits
	}
	if again && !b.running.Swap(true) {
		b.timer.Reset(probeAfter)
	}
}

// relax gives up the buffers that the queue, which was quiet, keeps for the next messages.
func (q *outbound) relax() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = nil
	if len(q.last.buf) == 0 {
		q.last.buf = nil
	}
}

func (b *prober) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
