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
	ctx, cancel := s.lingering()
	defer cancel()
	var errs []error
	if _, ok := s.route.(keeper); !ok {
		errs = append(errs, s.stopListening()) // nobody new is of use
	}
	flushed := s.until(ctx, func() bool { return s.flush(ctx) })
	errs = append(errs, s.stopListening())
	if flushed == nil && s.opts.Linger != 0 {
		s.takeLeave(ctx, s.peerList())
	}
	s.shut()
	s.wg.Wait()
	s.prober.stop()
	if n := s.discarded + s.kept(); n > 0 {
		errs = append(errs, s.fail("close", &DiscardError{Messages: n}))
	}
	return errors.Join(errs...)
}

// lingering gives a context for as long as Close may wait.
func (s *socket) lingering() (context.Context, context.CancelFunc) {
	if s.opts.Linger < 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), s.opts.Linger)
}

func (s *socket) stopListening() error {
	s.mu.Lock()
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	return closeAll(listeners)
}

func closeAll(listeners []*listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// A keeper is a routing that keeps messages that lost their peer for another.
type keeper interface{ kept() int }

// kept gives how many messages wait for a peer to come.
func (s *socket) kept() int {
	if k, ok := s.route.(keeper); ok {
		return k.kept()
	}
	return 0
}

// flush waits until nothing is queued for any peer. It gives false where a peer died meanwhile, for what it leaves may be queued
// for another by now; or where ctx ended.
func (s *socket) flush(ctx context.Context) bool {
	return flushAll(ctx, s.peerList()) && s.kept() == 0
}

func flushAll(ctx context.Context, peers []*peer) bool {
	for _, p := range peers {
		if !p.flush(ctx) {
			return false
		}
	}
	return true
}

func (p *peer) flush(ctx context.Context) bool {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.idle.Open()
	for (q.writing || q.bytes > 0) && !q.dead && ctx.Err() == nil {
		q.idle.Wait(ctx, &q.mu)
	}
	return !q.writing && q.bytes == 0 && !q.dead
}

// takeLeave lets peers read what was sent to them.
func (s *socket) takeLeave(ctx context.Context, peers []*peer) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	for _, p := range peers {
		if tincan.CloseWrite(p.conn) != nil {
			p.kill(net.ErrClosed)
		}
	}
	s.untilGone(ctx, peers)
}

// untilGone waits until s has none of peers any more, or ctx ends.
func (s *socket) untilGone(ctx context.Context, peers []*peer) {
	_ = s.until(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !slices.ContainsFunc(peers, func(p *peer) bool {
			_, here := s.peers[p]
			return here
		})
	})
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
