package pattern

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/zmtp"
)

// Listen binds the endpoint and takes peers there from now on. It blocks for looking up a name
// at most, which ctx bounds. What it gives is the address that was bound, whose String can be dialled.
//
// Errors are those of [tincan.ListenConfig.Listen], and [net.ErrClosed].
func (s *socket) Listen(ctx context.Context, endpoint string) (net.Addr, error) {
	l, err := s.opts.ListenConfig.Listen(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		_ = l.Close()
		return nil, s.fail("listen", net.ErrClosed)
	}
	s.listeners = append(s.listeners, &listener{Listener: l, named: canonical(endpoint)})
	s.wg.Go(func() { s.accept(l) })
	return l.Addr(), nil
}

// accept takes connections until l is closed. Their handshakes hold up nobody.
func (s *socket) accept(l *tincan.Listener) {
	endpoint := l.Addr().String()
	s.tell(Event{Kind: EventListening, Endpoint: endpoint})
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.tell(Event{Kind: EventAcceptFailed, Endpoint: endpoint, Err: err})
			}
			return
		}
		if !s.start(func() { _ = s.greet(c, &origin{endpoint: endpoint}) }) {
			_ = c.Close()
		}
	}
}

// Dial connects to the endpoint, and again whenever the connection is lost, until [Push.Undial] or the socket is
// closed. It never blocks: the peer need not be there. The error is for an endpoint that can't be
// dialled ever, an [*tincan.EndpointError] or [tincan.ErrNoTransport], and [net.ErrClosed].
func (s *socket) Dial(endpoint string) error {
	e, err := tincan.ParseEndpoint(endpoint)
	if err != nil {
		return err
	}
	// What is wrong with the endpoint itself shows before the attempt that the context forbids.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	probe := *s.opts.Dialer
	probe.Trace = nil
	c, err := probe.DialEndpoint(ended, e)
	if err == nil {
		_ = c.Close()
	} else if tincan.KindOf(err) == tincan.KindUsage {
		return err
	}
	o := &origin{endpoint: endpoint, dialled: e}
	o.ctx, o.cancel = context.WithCancel(s.ctx)
	if !s.dial(o) || s.closing.Load() {
		o.cancel()
		return s.fail("dial", net.ErrClosed)
	}
	return nil
}

// dial has o connected, unless s is closed.
func (s *socket) dial(o *origin) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.dialled = append(s.dialled, o)
	s.wg.Go(func() { s.connect(o) })
	return true
}

// An origin is where connections come from.
type origin struct {
	endpoint string
	dialled  *tincan.Endpoint // nil for a listener
	ctx      context.Context  // of what is dialled: ends with Undial, or the socket
	cancel   context.CancelFunc
	failed   int // attempts since a connection stood; it and wait are of the goroutine that dials or reads
	wait     time.Duration
}

// connect dials until there is a peer, or the socket is closed.
func (s *socket) connect(o *origin) {
	for {
		if o.failed > 0 && !s.pause(o) {
			return
		}
		c, err := s.opts.Dialer.DialEndpoint(o.ctx, o.dialled)
		if err == nil {
			err = s.greet(c, o)
		}
		if err == nil || o.ctx.Err() != nil {
			return
		}
		s.retry(o, err)
	}
}

// retry notes that a connection failed, or was lost.
func (s *socket) retry(o *origin, err error) {
	o.failed++
	o.wait = s.opts.Backoff.Wait(o.failed)
	s.tell(Event{Kind: EventRetrying, Endpoint: o.endpoint, Err: err, Attempt: o.failed, Wait: o.wait})
}

// pause waits before the next attempt.
func (s *socket) pause(o *origin) bool {
	timer := time.NewTimer(o.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o.ctx.Done():
		return false
	}
}

// ended reports whether o is dialled no more.
func (o *origin) ended() bool { return o.ctx != nil && o.ctx.Err() != nil }

// greet does the handshake on c, which it owns, and makes a peer of it. The error is also told.
func (s *socket) greet(c net.Conn, o *origin) error {
	p := &peer{s: s, conn: c, origin: o, id: s.lastPeer.Add(1)}
	session, err := s.handshake(c, o)
	if err != nil {
		_ = c.Close()
		s.count(func(st *Stats) { st.HandshakesFailed++ })
		if !s.closing.Load() && !o.ended() {
			s.tell(p.event(Event{Kind: EventHandshakeFailed, Err: err}))
		}
		return err
	}
	p.greeted(session)
	if err := s.join(p); err != nil {
		_ = c.Close()
		if !errors.Is(err, net.ErrClosed) {
			s.count(func(st *Stats) { st.Refused++ })
			s.tell(p.event(Event{Kind: EventRefused, Err: err}))
		}
		return err
	}
	return nil
}

func (s *socket) handshake(c net.Conn, o *origin) (*zmtp.Session, error) {
	s.mu.Lock()
	closed := s.closed || o.ended()
	if !closed {
		s.greeting[c] = o
	}
	s.mu.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.greeting, c)
	}()
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.HandshakeTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if o.dialled == nil {
		if err := tincan.Handshake(ctx, c); err != nil {
			return nil, err
		}
	}
	session, err := zmtp.Handshake(c, &zmtp.Config{Type: s.kind, Identity: s.opts.Identity, Mechanism: s.opts.Security})
	if err != nil {
		return nil, err
	}
	return session, c.SetDeadline(time.Time{})
}

// join makes p a peer and has it read, in a goroutine of its own: the stack of
// a handshake is large, and would stay for as long as the peer.
func (s *socket) join(p *peer) error {
	s.mu.Lock()
	if s.closed || p.origin.ended() {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.peers[p] = struct{}{}
	s.stats.Connects++
	s.wg.Add(1)
	s.mu.Unlock()
	if err := s.route.joined(p); err != nil {
		s.mu.Lock()
		delete(s.peers, p)
		s.mu.Unlock()
		s.wg.Done()
		return err
	}
	kind := EventAccepted
	if p.origin.dialled != nil {
		kind = EventConnected
	}
	s.tell(p.event(Event{Kind: kind}))
	s.news.raise()
	p.beat.start(p)
	go p.run(&reader{p: p})
	return nil
}
