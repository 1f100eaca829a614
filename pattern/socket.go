package pattern

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A routing is what differs between the socket types. The socket calls it; left after joined, and the others between the two.
type routing interface {
	// joined takes p in, whose handshake is done and which is not read yet. From then on
	// messages can be queued for it. An error, which names the rule, refuses the peer.
	joined(p *peer) error
	// left lets go of p. unsent are its messages, as frames, of which the system has
	// not taken the last byte. It gives how many of them are dropped.
	left(p *peer, unsent []byte) (dropped int)
	// arrived takes whole messages of p. It may block for as long as no more of p shall be read.
	// Only p's reader calls it.
	arrived(p *peer, c *chunk)
	// command takes a command that isn't the connection's own: SUBSCRIBE or CANCEL. An error ends the connection.
	command(p *peer, c zmtp.Command) error
}

// A socket is what all types have in common: peers, the endpoints they come from, and the queues.
// All methods may be called at once.
type socket struct {
	kind    zmtp.SocketType
	opts    Options
	route   routing
	inbox   inbox
	onClose func() // ends what the type has under way; may be nil

	ctx    context.Context // ends dialling
	cancel context.CancelFunc
	wg     sync.WaitGroup
	news   signal // a peer joined or left, a full queue got room, or the socket was closed

	prober   prober
	lastPeer atomic.Uint64 // id

	mu        sync.Mutex // guards what follows
	closed    bool       // nothing may be started
	listeners []*listener
	dialled   []*origin
	greeting  map[net.Conn]*origin // connections that aren't peers yet
	peers     map[*peer]struct{}
	stats     Stats // of what isn't a peer's, and of the peers that are gone

	closing   atomic.Bool // nothing may be sent or received any more
	closeOnce sync.Once
	closeErr  error
	discarded int // messages that were queued in the end
}

// init makes s a socket of a type.
func (s *socket) init(kind zmtp.SocketType, o *Options, route routing) {
	s.kind, s.opts, s.route = kind, o.withDefaults(kind), route
	s.inbox.highWater, s.inbox.maxBytes = s.opts.RecvHighWater, s.opts.RecvBytes
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.greeting, s.peers = map[net.Conn]*origin{}, map[*peer]struct{}{}
}

// fail makes err an error of an operation of s.
func (s *socket) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: strings.ToLower(s.kind.String()), Err: err}
}

// tell passes e on to whoever wants to know.
func (s *socket) tell(e Event) {
	if s.opts.OnEvent != nil {
		s.opts.OnEvent(e)
	}
}

// start runs f in a goroutine that Close joins, unless s is closed.
func (s *socket) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// WaitPeers waits until the socket has n peers, all of which have done their handshakes. The errors are
// ctx's and [net.ErrClosed].
func (s *socket) WaitPeers(ctx context.Context, n int) error {
	err := s.until(ctx, func() bool { return s.closing.Load() || s.peerCount() >= n })
	if err == nil && s.closing.Load() {
		err = net.ErrClosed
	}
	return s.fail("wait", err)
}

func (s *socket) peerCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers)
}

// until waits until ok holds, which it looks at whenever there is news, or ctx ends.
func (s *socket) until(ctx context.Context, ok func() bool) error {
	for {
		news := s.news.wait()
		switch {
		case ok():
			return nil
		case ctx.Err() != nil:
			return ctxError(ctx)
		}
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

// Peers describes the peers that the socket has now.
func (s *socket) Peers() []PeerInfo {
	s.mu.Lock()
	peers := slices.Collect(maps.Keys(s.peers))
	s.mu.Unlock()
	infos := make([]PeerInfo, 0, len(peers))
	for _, p := range peers {
		infos = append(infos, p.info())
	}
	return infos
}

// Stats gives the socket's counters and the state of its queues.
func (s *socket) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.stats
	total.Peers = len(s.peers)
	for p := range s.peers {
		p.out.mu.Lock()
		total.add(p.out.counts)
		total.Queued += p.out.msgs
		p.out.mu.Unlock()
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	total.add(s.inbox.counts)
	total.Waiting = s.inbox.waiting + s.inbox.aside
	return total
}

// count changes the counters of what isn't a peer's.
func (s *socket) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// dropped counts n messages to or from p that are lost, for the reason err.
func (s *socket) dropped(p *peer, n int, err error) {
	if n == 0 {
		return
	}
	p.out.mu.Lock()
	p.out.counts.Dropped += uint64(n)
	p.out.mu.Unlock()
	s.tell(p.event(Event{Kind: EventDropped, Messages: n, Err: err}))
}

// ctxError tells why ctx ended: its error and, where another was given, its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
