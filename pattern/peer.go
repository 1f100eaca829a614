package pattern

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/tincan-ipc/tincan/zmtp"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// A peer is a connection whose handshake is done.
type peer struct {
	s       *socket
	conn    net.Conn
	raw     *rawConn // nil where conn is more than a socket
	session *zmtp.Session
	origin  *origin
	id      uint64
	since   time.Time

	// identity is what a Router addresses the peer by, and state what another routing keeps for it.
	identity []byte
	state    any

	writer func() // write; made once, for it is started often

	out   outbound
	in    arrivals
	beat  heartbeat
	cause error // why it was killed. out.mu guards it
}

// greeted takes in what the handshake gave.
func (p *peer) greeted(session *zmtp.Session) {
	p.session, p.since = session, time.Now()
	p.raw = newRawConn(p.conn)
	p.writer = p.write
	p.out.streak, p.out.credit = 1, 1
}

// run reads until the connection ends, then takes the peer away. A reader that was quiet goes on in a goroutine of its own,
// which has a stack as small as they begin with: what grew for the messages would stay for as long as the peer.
func (p *peer) run(r *reader) {
	err := r.run()
	if err == nil {
		go p.run(r)
		return
	}
	defer p.s.wg.Done()
	p.kill(err)
	_ = p.conn.Close()
	p.beat.stop()
	p.s.leave(p)
}

// kill ends the connection for the reason err: nothing is read or written any more. The rest is left to
// the reader, which closes it; a Close elsewhere would wait for the reader. It may be called at any time, without locks.
func (p *peer) kill(err error) {
	p.out.mu.Lock()
	was, starved := p.out.dead, p.out.starved
	if !was {
		p.out.dead, p.cause = true, err
		p.out.idle.Open()
	}
	p.out.mu.Unlock()
	if !was {
		_ = p.conn.SetDeadline(longAgo)
		p.s.inbox.wake(p)
	}
	if starved {
		p.s.news.raise()
	}
}

func (p *peer) isDead() bool {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.dead
}

// leave takes p, which is dead, away.
func (s *socket) leave(p *peer) {
	p.awaitWriter()
	lost := s.route.left(p, p.unsent())
	if !s.closing.Load() {
		s.dropped(p, lost, ErrPeerLost)
		lost = 0
	}
	s.mu.Lock()
	delete(s.peers, p)
	s.discarded += lost
	p.out.mu.Lock()
	s.stats.add(p.out.counts)
	cause := p.cause
	p.out.mu.Unlock()
	s.mu.Unlock()
	if errors.Is(cause, io.EOF) || errors.Is(cause, net.ErrClosed) {
		cause = nil
	}
	if !s.closing.Load() {
		s.tell(p.event(Event{Kind: EventDisconnected, Err: cause}))
	}
	s.news.raise()
	if p.origin.dialled != nil {
		s.redial(p, cause)
	}
}

// redial has p's endpoint dialled again. The attempts count on where the connection ended sooner than the last
// wait lasted, for then it did not help.
func (s *socket) redial(p *peer, cause error) {
	o := p.origin
	if time.Since(p.since) > o.wait {
		o.failed = 0
	}
	if !o.ended() {
		s.retry(o, cause)
		s.start(func() { s.connect(o) })
	}
}

// awaitWriter waits until nobody writes to p, which is dead.
func (p *peer) awaitWriter() {
	q := &p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.idle.Open()
	for q.writing {
		q.idle.Wait(context.Background(), &q.mu)
	}
}

// countMessages counts the messages in frames.
func countMessages(frames []byte) (n int) {
	for len(frames) > 0 {
		var f zmtp.Flags
		f, _, frames = cut(frames)
		if f&(zmtp.FlagMore|zmtp.FlagCommand) == 0 {
			n++
		}
	}
	return n
}

// info describes p.
func (p *peer) info() PeerInfo {
	i := PeerInfo{ID: p.id, Endpoint: p.origin.endpoint, Dialled: p.origin.dialled != nil, Address: p.conn.RemoteAddr().String()}
	if i.Dialled {
		i.Address = i.Endpoint
	}
	if p.session == nil {
		return i
	}
	i.Peer = p.session.Peer()
	if p.identity != nil {
		i.Identity = p.identity
	}
	p.out.mu.Lock()
	i.Counters = p.out.counts
	i.Queued, i.QueuedBytes = p.out.msgs, p.out.bytes
	p.out.mu.Unlock()
	p.s.inbox.mu.Lock()
	defer p.s.inbox.mu.Unlock()
	i.Waiting = p.in.msgs
	i.add(p.in.counts)
	return i
}

// event makes e one about p.
func (p *peer) event(e Event) Event {
	if p.s.opts.OnEvent == nil {
		return e
	}
	i := p.info()
	e.Endpoint, e.Peer = p.origin.endpoint, &i
	return e
}
