package pattern

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/tincan-ipc/tincan"
)

// farewell bounds how long Close waits, within Linger, for a peer to take leave
// after everything was sent: a connection that is closed while something comes in is reset, and what was
// sent may be lost with it.
const farewell = time.Second

// Close ends the socket: its listeners, whose Unix paths are removed, its
// connections and its goroutines. What blocks in its methods gets [net.ErrClosed].
// It first waits until what is queued has been sent, for [Options.Linger] at
// most; the error is a [*DiscardError] where something is left then. What has
// arrived and was not received is dropped and counted, see Stats. Further
// calls wait for the first and give the same.
func (s *socket) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *socket) close() error {
	s.closing.Store(true)
	s.news.raise()
	s.inbox.close()
	if s.onClose != nil {
		s.onClose()
	}
	s.mu.Lock()
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	s.linger()
	s.shut()
	s.wg.Wait()
	s.prober.stop()
	if n := s.discarded + s.kept(); n > 0 {
		errs = append(errs, s.fail("close", &DiscardError{Messages: n}))
	}
	return errors.Join(errs...)
}

// kept gives how many messages wait for a peer to come.
func (s *socket) kept() int {
	if r, ok := s.route.(interface{ kept() int }); ok {
		return r.kept()
	}
	return 0
}

// linger waits until what is queued is with the system, and the peers have had their chance to read it.
func (s *socket) linger() {
	if s.opts.Linger == 0 {
		return
	}
	ctx := context.Background()
	if s.opts.Linger > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.opts.Linger)
		defer cancel()
	}
	err := s.until(ctx, func() bool { return s.kept() == 0 })
	peers := s.peerList()
	for _, p := range peers {
		if err == nil {
			err = p.flush(ctx)
		}
	}
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	for _, p := range peers {
		if tincan.CloseWrite(p.conn) != nil {
			p.kill(net.ErrClosed)
		}
	}
	_ = s.until(ctx, func() bool { return s.peerCount() == 0 })
}

// flush waits until nothing is queued for p, or p is dead.
func (p *peer) flush(ctx context.Context) error {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.idle.open()
	for (q.writing || q.bytes > 0) && !q.dead {
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		q.idle.wait(ctx, &q.mu)
	}
	return nil
}

// shut ends all connections, and lets nothing start any more.
func (s *socket) shut() {
	s.mu.Lock()
	s.closed = true
	for c := range s.greeting {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.cancel()
	for _, p := range s.peerList() {
		p.kill(net.ErrClosed)
	}
}

func (s *socket) peerList() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.peers))
}
