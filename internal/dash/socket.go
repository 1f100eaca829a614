package dash

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
	"github.com/tincan-ipc/tincan/pattern"
)

// maxPeers is how many peers of a message socket are listed with it.
const maxPeers = 100

// A MessageSocket is what tells of a socket of package pattern.
type MessageSocket interface {
	Stats() pattern.Stats
	Peers() []pattern.PeerInfo
}

// A Socket is the record of a message socket. Its methods may be called of a nil pointer too, and do nothing then.
type Socket struct {
	m      *Model
	id     uint64
	kind   string
	source func() MessageSocket // gives nil until the socket is there

	mu        sync.Mutex // guards what follows
	endpoints []string
	peers     map[uint64]*Conn
	dialled   []narrate.Step // what was told of a dial that hasn't ended
	before    pattern.Stats
	lastDrop  string
}

// A socketValue is a message socket as it is published.
type socketValue struct {
	ID        uint64   `json:"id"`
	Type      string   `json:"type"`
	Endpoints []string `json:"endpoints"`

	Peers    int `json:"peers"`
	Connects int `json:"connects"`
	Queued   int `json:"queued"`
	Waiting  int `json:"waiting"`

	Received      uint64  `json:"received"`
	Sent          uint64  `json:"sent"`
	ReceivedBytes uint64  `json:"received-bytes"`
	SentBytes     uint64  `json:"sent-bytes"`
	ReceivedRate  float64 `json:"received-rate"` // messages a second
	SentRate      float64 `json:"sent-rate"`

	Dropped          uint64 `json:"dropped"`
	Unroutable       uint64 `json:"unroutable"`
	Refused          uint64 `json:"refused"`
	HandshakesFailed uint64 `json:"handshakes-failed"`
	LastDrop         string `json:"last-drop,omitempty"`

	List []peerValue `json:"list"` // at most maxPeers of them
}

// A peerValue is a peer in the list of its socket.
type peerValue struct {
	ID       uint64 `json:"id"`
	Conn     uint64 `json:"conn,omitempty"`
	Address  string `json:"address"`
	Dialled  bool   `json:"dialled,omitempty"`
	Type     string `json:"type"`
	Identity string `json:"identity,omitempty"`
	Security string `json:"security,omitempty"`
	Queued   int    `json:"queued"`
	Waiting  int    `json:"waiting"`
	Received uint64 `json:"received"`
	Sent     uint64 `json:"sent"`
	Dropped  uint64 `json:"dropped"`
}

// Socket lists a message socket of a type such as "REP". source gives it, or nil as long as it is not there.
func (m *Model) Socket(kind string, source func() MessageSocket) *Socket {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastKey++
	s := &Socket{m: m, id: m.lastKey, kind: kind, source: source, peers: map[uint64]*Conn{}}
	m.sockets = append(m.sockets, s)
	return s
}

// Endpoint notes that the socket listens on url, or dials it.
func (s *Socket) Endpoint(url string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = append(s.endpoints, url)
}

// Trace gives what tells of the dialling of the socket's connections. It is nil for a nil record.
func (s *Socket) Trace() *tincan.Trace {
	if s == nil {
		return nil
	}
	return narrate.Steps(func(step narrate.Step) {
		switch step.Kind {
		case narrate.Connected:
			if step.Err == nil {
				s.m.Took(Dial, step.Took)
			}
		case narrate.Resolve, narrate.Socket, narrate.Connect, narrate.Wait:
		default:
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.dialled) == maxDialSteps {
			s.dialled = slices.Delete(s.dialled, 0, 1)
		}
		s.dialled = append(s.dialled, step)
	})
}

// maxDialSteps is how many steps of dialling are kept until there is a connection.
const maxDialSteps = 12

// Event takes in what happened to the socket.
func (s *Socket) Event(e pattern.Event) {
	if s == nil {
		return
	}
	switch e.Kind {
	case pattern.EventConnected, pattern.EventAccepted:
		s.joined(e)
	case pattern.EventHandshakeFailed, pattern.EventRefused:
		s.failed(e)
	case pattern.EventDisconnected:
		s.left(e)
	case pattern.EventDropped:
		s.dropped(e)
	}
}

// list lists the connection to a peer, with the steps that led to it.
func (s *Socket) list(e pattern.Event) *Conn {
	v := value{Role: roleAccepted, Peer: peerName(e), At: e.Endpoint, Socket: s.id, Family: scheme(e.Endpoint)}
	if e.Peer.Dialled {
		v.Role = roleDialled
	}
	c := s.m.add(nil, v)
	if c == nil {
		return nil
	}
	if !e.Peer.Dialled {
		c.step(narrate.Step{Kind: narrate.Accept, What: "accept " + v.Peer + " on " + e.Endpoint, Call: "accept(2)"})
		return c
	}
	s.mu.Lock()
	steps := s.dialled
	s.dialled = nil
	one := len(s.endpoints) == 1 // of several, who knows whose steps they were
	s.mu.Unlock()
	if !one || len(steps) == 0 {
		steps = []narrate.Step{{Kind: narrate.Connect, What: "connect " + e.Endpoint, Call: "socket(2), connect(2)"}}
	}
	for _, step := range steps {
		c.step(step)
	}
	return c
}

func (s *Socket) joined(e pattern.Event) {
	c := s.list(e)
	if c == nil {
		return
	}
	c.identify(e.Peer)
	c.step(narrate.Joined(e, peerName(e)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[e.Peer.ID] = c
}

// failed tells of a peer that never was one.
func (s *Socket) failed(e pattern.Event) {
	if e.Peer == nil {
		return
	}
	c := s.list(e)
	if c == nil {
		return
	}
	c.step(narrate.Step{
		Kind: narrate.Handshake, Layer: "zmtp", What: fmt.Sprintf("%s, %s", peerName(e), e.Kind), Call: "read(2), write(2)",
		Result: e.Err.Error(), Err: e.Err,
	})
	c.finish(narrate.Step{Kind: narrate.Abort, Err: e.Err})
}

func (s *Socket) left(e pattern.Event) {
	s.mu.Lock()
	c := s.peers[e.Peer.ID]
	delete(s.peers, e.Peer.ID)
	s.mu.Unlock()
	if c == nil {
		return
	}
	c.counted(e.Peer)
	if e.Err != nil {
		c.End(e.Err, false)
		return
	}
	step := narrate.Left(e, peerName(e))
	step.Received, step.Sent = int64(e.Peer.ReceivedBytes), int64(e.Peer.SentBytes)
	c.step(step)
}

func (s *Socket) dropped(e pattern.Event) {
	what := fmt.Sprintf("drop %d messages", e.Messages)
	s.mu.Lock()
	s.lastDrop = fmt.Sprintf("%s, dropped %d messages: %v", peerName(e), e.Messages, e.Err)
	var c *Conn
	if e.Peer != nil {
		c = s.peers[e.Peer.ID]
	}
	s.mu.Unlock()
	c.step(narrate.Step{Kind: narrate.Drop, What: what, Result: e.Err.Error(), Err: e.Err})
}

// sample gives the socket as it is, with the rates since the last time. It must be called without m.mu: the socket
// has locks of its own, and may be telling an event.
func (s *Socket) sample(seconds float64) socketValue {
	var (
		now   pattern.Stats
		peers []pattern.PeerInfo
	)
	if source := s.source(); source != nil {
		now, peers = source.Stats(), source.Peers()
	}
	slices.SortFunc(peers, func(a, b pattern.PeerInfo) int { return cmp.Compare(a.ID, b.ID) })
	s.mu.Lock()
	defer s.mu.Unlock()
	v := socketValue{
		ID: s.id, Type: s.kind, Endpoints: slices.Clone(s.endpoints), List: []peerValue{}, LastDrop: s.lastDrop,
		Peers: now.Peers, Connects: now.Connects, Queued: now.Queued, Waiting: now.Waiting,
		Received: now.Received, Sent: now.Sent, ReceivedBytes: now.ReceivedBytes, SentBytes: now.SentBytes,
		Dropped: now.Dropped, Unroutable: now.Unroutable, Refused: now.Refused, HandshakesFailed: now.HandshakesFailed,
		ReceivedRate: float64(now.Received-s.before.Received) / seconds, SentRate: float64(now.Sent-s.before.Sent) / seconds,
	}
	s.before = now
	for i := range peers {
		p := &peers[i]
		c := s.peers[p.ID]
		c.counted(p)
		if i < maxPeers {
			v.List = append(v.List, describePeer(p, c))
		}
	}
	return v
}

func describePeer(p *pattern.PeerInfo, c *Conn) peerValue {
	v := peerValue{
		ID: p.ID, Address: p.Address, Dialled: p.Dialled, Type: p.Type.String(), Identity: identityText(p.Identity),
		Security: p.Mechanism, Queued: p.Queued, Waiting: p.Waiting, Received: p.Received, Sent: p.Sent, Dropped: p.Dropped,
	}
	if v.Address == "@" || v.Address == "" {
		v.Address = "(unnamed)"
	}
	if c != nil {
		v.Conn = c.id
	}
	return v
}

// identify notes who the peer of a message socket is.
func (c *Conn) identify(p *pattern.PeerInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.about.Type, c.about.Identity = p.Type.String(), identityText(p.Identity)
}

// counted takes in what a message socket has counted for its peer.
func (c *Conn) counted(p *pattern.PeerInfo) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a, at := &c.about, time.Since(c.started)
	received, sent := int64(p.ReceivedBytes)-a.Received, int64(p.SentBytes)-a.Sent
	messages := [2]int64{int64(p.Received) - a.MessagesReceived, int64(p.Sent) - a.MessagesSent}
	a.Received, a.Sent = int64(p.ReceivedBytes), int64(p.SentBytes)
	a.MessagesReceived, a.MessagesSent = int64(p.Received), int64(p.Sent)
	c.life.messages(kindReceive, at, messages[0], received, "read(2)")
	c.life.messages(kindSend, at, messages[1], sent, "write(2)")
}

// peerName is how the peer of an event is called: by what was dialled, or by its address.
func peerName(e pattern.Event) string {
	switch {
	case e.Peer == nil || e.Peer.Dialled:
		return e.Endpoint
	case e.Peer.Address == "@" || e.Peer.Address == "":
		return "(unnamed)"
	}
	return e.Peer.Address
}

// scheme is that of a URL.
func scheme(url string) string {
	name, _, _ := bytes.Cut([]byte(url), []byte(":"))
	return string(name)
}

// identityText is an identity as text, or as hexadecimal digits where it isn't any.
func identityText(identity []byte) string {
	if utf8.Valid(identity) && !bytes.Contains(identity, []byte{0}) {
		return string(identity)
	}
	return hex.EncodeToString(identity)
}
