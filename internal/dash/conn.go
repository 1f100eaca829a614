package dash

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
)

// Roles of a connection: how it came to be.
const (
	roleAccepted = "accepted"
	roleDialled  = "dialled"
	roleOpened   = "opened" // a file, a descriptor, a program
)

// States of a connection.
const (
	stateOpen       = "open"
	stateHalfLocal  = "half-closed here"
	stateHalfRemote = "half-closed there"
	stateEnded      = "ended"
)

// A value is a connection as it is published.
type value struct {
	ID       uint64   `json:"id"`
	Role     string   `json:"role"`
	Peer     string   `json:"peer"`
	Local    string   `json:"local,omitempty"`
	At       string   `json:"at,omitempty"`     // the endpoint that was listened on or dialled
	Target   string   `json:"target,omitempty"` // what it is relayed to
	Family   string   `json:"family"`
	Layers   []string `json:"layers,omitempty"`
	Cred     *cred    `json:"cred,omitempty"`
	Socket   uint64   `json:"socket,omitempty"` // the message socket whose peer it is
	Type     string   `json:"type,omitempty"`   // of that peer
	Identity string   `json:"identity,omitempty"`

	State   string `json:"state"`
	Outcome string `json:"outcome,omitempty"` // how it ended: closed, or the kind of the error
	Error   string `json:"error,omitempty"`
	Since   int64  `json:"since"`           // milliseconds since the Unix epoch
	Ended   int64  `json:"ended,omitempty"` // the same

	Received     int64   `json:"received"`
	Sent         int64   `json:"sent"`
	ReceivedRate float64 `json:"received-rate"`
	SentRate     float64 `json:"sent-rate"`
	// Messages count for peers of a message socket.
	MessagesReceived int64 `json:"messages-received,omitempty"`
	MessagesSent     int64 `json:"messages-sent,omitempty"`
	// FirstByte is the time from accept to the first byte sent, in milliseconds.
	FirstByte float64 `json:"first-byte,omitempty"`
}

// A cred is who is at the other end of a Unix socket.
type cred struct {
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	PID     int    `json:"pid,omitempty"`
	Program string `json:"program,omitempty"`
}

// A Conn is the record of one connection. Its methods may be called at once, of a nil pointer too, and do nothing then.
type Conn struct {
	m       *Model
	id      uint64
	started time.Time
	keys    []tincan.Conn // by which it is found; m.mu guards them
	watched atomic.Bool   // somebody looks at its life

	mu    sync.Mutex // guards what follows
	about value
	life  life
	ended time.Time
	// target is the connection that it is relayed to, nil without.
	target tincan.Conn
	// What was counted at the last sample.
	receivedBefore, sentBefore int64
}

// describe says what is known of a connection that was accepted.
func describe(conn tincan.Conn, listener net.Addr) value {
	v := value{Role: roleAccepted, At: narrate.Name(listener)}
	v.Peer, v.Local = narrate.Name(conn.RemoteAddr()), narrate.Name(conn.LocalAddr())
	v.Family = family(listener, conn.RemoteAddr())
	v.Cred = credentials(conn)
	return v
}

// credentials asks the kernel who is at the other end; nil where it doesn't tell.
func credentials(conn tincan.Conn) *cred {
	c, err := tincan.PeerCred(conn)
	if err != nil {
		return nil
	}
	return &cred{UID: c.UID, GID: c.GID, PID: c.PID, Program: programOf(c.PID)}
}

// programOf names a process as Linux does (proc(5), comm), "" elsewhere.
func programOf(pid int) string {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// family says of which family a connection is: "tcp, IPv6".
func family(listener, remote net.Addr) string {
	if listener == nil {
		return ""
	}
	network := listener.Network()
	if remote == nil {
		return network
	}
	if a, err := netip.ParseAddrPort(remote.String()); err == nil {
		if a.Addr().Unmap().Is4() {
			return network + ", IPv4"
		}
		return network + ", IPv6"
	}
	return network
}

// value gives c as it is published.
func (c *Conn) value() value {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.about
}

// lifeValue gives c's life as it is published.
func (c *Conn) lifeValue() lifeValue {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.life.value()
	v.ID, v.Peer, v.Target, v.Role = c.id, c.about.Peer, c.about.Target, c.about.Role
	return v
}

// endedAt is when c ended; it has.
func (c *Conn) endedAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// isOf reports whether c came in at listener, from remote, and lives.
func (c *Conn) isOf(listener, remote net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended.IsZero() && c.about.Peer == narrate.Name(remote) && c.about.At == narrate.Name(listener)
}

func (c *Conn) follow(on bool) { c.watched.Store(on) }

// rate takes the rates of the time since the last sample.
func (c *Conn) rate(seconds float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.about
	a.ReceivedRate, a.SentRate = float64(a.Received-c.receivedBefore)/seconds, float64(a.Sent-c.sentBefore)/seconds
	c.receivedBefore, c.sentBefore = a.Received, a.Sent
	if !c.ended.IsZero() {
		a.ReceivedRate, a.SentRate = 0, 0
	}
}

// Passed counts bytes as they pass: those that were received from the peer and those that were sent to it, by the system call
// of that name; "" stands for read(2) and write(2).
func (c *Conn) Passed(received, sent int64, call string) {
	if c == nil || received == 0 && sent == 0 {
		return
	}
	now := time.Now()
	c.mu.Lock()
	if !c.ended.IsZero() {
		c.mu.Unlock()
		return
	}
	c.about.Received += received
	c.about.Sent += sent
	first := sent > 0 && c.about.FirstByte == 0 && c.about.Role == roleAccepted
	took := now.Sub(c.started)
	if first {
		c.about.FirstByte = max(milliseconds(took), 0.001)
	}
	c.life.passed(took, received, sent, call)
	c.mu.Unlock()
	if first {
		c.m.Took(FirstByte, took)
	}
	if c.watched.Load() {
		c.m.touch(c)
	}
}

// step notes a step of c's life.
func (c *Conn) step(s narrate.Step) {
	if c == nil {
		return
	}
	c.mu.Lock()
	side := sidePeer
	if c.target != nil && s.Conn == c.target {
		side = sideTarget
	}
	ends := c.note(s, side) && side == sidePeer
	c.mu.Unlock()
	if ends {
		c.finish(s)
	} else {
		c.m.touch(c)
	}
}

// note takes a step in, and reports whether it is the last. c.mu is held.
func (c *Conn) note(s narrate.Step, side string) (ends bool) {
	switch {
	case !c.ended.IsZero():
		return false
	case s.Kind == narrate.Handshake && s.Err == nil:
		c.about.Layers = append(c.about.Layers, s.Layer)
		if s.Conn != nil && s.Layer == "proxy" { // the header names the client
			c.about.Peer = narrate.Name(s.Conn.RemoteAddr())
		}
	case s.Kind == narrate.HalfClose && side == sidePeer:
		c.about.State = stateHalfLocal
		if s.Side == tincan.Remote {
			c.about.State = stateHalfRemote
		}
	}
	c.life.add(s, side, time.Since(c.started))
	return s.Kind == narrate.Close || s.Kind == narrate.Reset || s.Kind == narrate.Abort
}

// finish notes that c has ended by s.
func (c *Conn) finish(s narrate.Step) {
	c.mu.Lock()
	if !c.ended.IsZero() {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	c.ended = now
	a := &c.about
	a.State, a.Ended = stateEnded, now.UnixMilli()
	a.Received, a.Sent = max(a.Received, s.Received), max(a.Sent, s.Sent)
	a.Outcome = "closed"
	if s.Err != nil {
		a.Outcome, a.Error = outcome(s), s.Err.Error()
	}
	c.mu.Unlock()
	c.m.end(c)
}

// outcome is a word for how a connection failed.
func outcome(s narrate.Step) string {
	switch {
	case s.Kind == narrate.Abort:
		return "refused"
	case tincan.KindOf(s.Err) == tincan.KindOther:
		return "failed"
	}
	return tincan.KindOf(s.Err).String()
}

// End notes that c has ended, for the reason err unless it is nil, where no trace tells so. byTarget says that what it was
// relayed to was the reason.
func (c *Conn) End(err error, byTarget bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	side, who := sidePeer, c.about.Peer
	if byTarget && c.about.Target != "" {
		side, who = sideTarget, c.about.Target
	}
	s := narrate.End(nil, who, c.about.Received, c.about.Sent, err)
	c.note(s, side)
	c.mu.Unlock()
	c.finish(s)
}

// Dialling gives what tells of the dialling of c's target. It is nil for a nil record.
func (c *Conn) Dialling() *tincan.Trace {
	if c == nil {
		return nil
	}
	return narrate.Steps(func(s narrate.Step) {
		if s.Kind == narrate.Connected && s.Err == nil {
			c.m.Took(Dial, s.Took)
		}
		c.targetStep(s)
	})
}

// targetStep notes a step of the connection to c's target.
func (c *Conn) targetStep(s narrate.Step) {
	c.mu.Lock()
	c.note(s, sideTarget)
	c.mu.Unlock()
	c.m.touch(c)
}

// Joined notes that c is relayed to target, which url names; target may be nil.
func (c *Conn) Joined(target tincan.Conn, url string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.about.Target = url
	c.life.through = true
	if hashable(target) {
		c.target = target
	}
	c.mu.Unlock()
	if target != nil {
		c.m.addTarget(target, c)
	}
	c.m.touch(c)
}
