package dash

import (
	"fmt"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
)

// Sides of a step: with whom it is taken.
const (
	sidePeer    = "peer"
	sideTarget  = "target"
	sideThrough = "through" // from one to the other
)

// Ways of a step: the arrow that draws it.
const (
	wayIn   = "in"   // comes from the other side
	wayOut  = "out"  // goes there
	wayBoth = "both" // there and back
	waySelf = "self" // is this process's own
)

// Of a life the first steps and the last are kept; those in between, only how many they were.
const (
	keepFirst = 24
	keepLast  = 40
)

// A step is one step of a life as it is published.
type step struct {
	N      int     `json:"n"`
	At     float64 `json:"at"`              // milliseconds since the connection began
	Until  float64 `json:"until,omitempty"` // of bytes: when the last of them passed
	Kind   string  `json:"kind"`
	Side   string  `json:"side"`
	Way    string  `json:"way"`
	What   string  `json:"what"`
	Call   string  `json:"call,omitempty"`
	Result string  `json:"result,omitempty"`
	Failed bool    `json:"failed,omitempty"`
	// Network is what the step goes over where that need not be the connection's own family, as that to a target.
	Network string `json:"network,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	Calls   int64  `json:"calls,omitempty"`
	// Messages count for the peer of a message socket.
	Messages int64 `json:"messages,omitempty"`
}

// A life is what has happened to a connection, in order. Its Conn guards it.
type life struct {
	steps   []step
	n       int  // steps in all
	omitted int  // of them that are no longer kept
	through bool // bytes pass through to a target
}

// A lifeValue is a life as it is published.
type lifeValue struct {
	ID      uint64 `json:"id"`
	Peer    string `json:"peer"`
	Target  string `json:"target,omitempty"`
	Role    string `json:"role"`
	Omitted int    `json:"omitted,omitempty"`
	// Omitted are behind the first After steps.
	After int    `json:"after,omitempty"`
	Steps []step `json:"steps"`
}

func (l *life) value() lifeValue {
	v := lifeValue{Omitted: l.omitted, Steps: append([]step{}, l.steps...)}
	if l.omitted > 0 {
		v.After = keepFirst
	}
	return v
}

// add appends a step.
func (l *life) add(s narrate.Step, side string, at time.Duration) {
	l.append(step{
		At: milliseconds(at), Kind: string(s.Kind), Side: side, Way: way(s),
		What: s.What, Call: s.Call, Result: s.Result, Failed: s.Err != nil, Network: network(s, side),
	})
}

// network names what s goes over, as step's Network.
func network(s narrate.Step, side string) string {
	if s.Network == "" && side == sideTarget && s.Conn != nil {
		return s.Conn.LocalAddr().Network()
	}
	return s.Network
}

func (l *life) append(s step) {
	s.N = l.n
	l.n++
	if len(l.steps) == keepFirst+keepLast {
		copy(l.steps[keepFirst:], l.steps[keepFirst+1:])
		l.steps = l.steps[:len(l.steps)-1]
		l.omitted++
	}
	l.steps = append(l.steps, s)
}

// way is the direction in which a step goes.
func way(s narrate.Step) string {
	switch s.Kind {
	case narrate.Connect, narrate.Abort, narrate.Close:
		return wayOut
	case narrate.Accept, narrate.Connected, narrate.Reset, narrate.Drop:
		return wayIn
	case narrate.HalfClose:
		if s.Side == tincan.Remote {
			return wayIn
		}
		return wayOut
	case narrate.Handshake:
		return wayBoth
	}
	return waySelf
}

// Kinds of steps that narrate doesn't know, as --trace doesn't tell of bytes.
const (
	kindReceive = "receive"
	kindSend    = "send"
)

// passed notes bytes. Those of one direction that follow one another are one step.
func (l *life) passed(at time.Duration, received, sent int64, call string) {
	if received > 0 {
		l.bytes(kindReceive, at, received, l.call(call, "read(2)", "write(2)"))
	}
	if sent > 0 {
		l.bytes(kindSend, at, sent, l.call(call, "write(2)", "read(2)"))
	}
}

// call names the system calls that move bytes: of a relay's, those of both sides.
func (l *life) call(given, own, other string) string {
	switch {
	case given != "":
		return given
	case l.through && own == "read(2)":
		return own + ", " + other
	case l.through:
		return other + ", " + own
	}
	return own
}

func (l *life) bytes(kind string, at time.Duration, n int64, call string) {
	if last := len(l.steps) - 1; last >= 0 {
		if s := &l.steps[last]; s.Kind == kind && s.Call == call && s.N == l.n-1 {
			s.Until = milliseconds(at)
			s.Bytes += n
			s.Calls++
			s.What = count(kind, s.Bytes)
			return
		}
	}
	s := step{At: milliseconds(at), Until: milliseconds(at), Kind: kind, Side: sidePeer, Way: wayIn, What: count(kind, n), Call: call, Bytes: n, Calls: 1}
	if kind == kindSend {
		s.Way = wayOut
	}
	if l.through {
		s.Side = sideThrough
	}
	l.append(s)
}

func count(kind string, n int64) string {
	if n == 1 {
		return kind + " 1 byte"
	}
	return fmt.Sprintf("%s %d bytes", kind, n)
}

func key(kind string, id uint64) string { return fmt.Sprintf("%s.%d", kind, id) }

// messages notes messages as a sample found them, whose order is not known: until something else happens, those of each
// direction are one step.
func (l *life) messages(kind string, at time.Duration, n, size int64, call string) {
	if n <= 0 {
		return
	}
	for i := len(l.steps) - 1; i >= 0 && l.steps[i].Messages > 0; i-- {
		if s := &l.steps[i]; s.Kind == kind {
			s.Until = milliseconds(at)
			s.Bytes += size
			s.Messages += n
			s.What = countMessages(kind, s.Messages, s.Bytes)
			return
		}
	}
	s := step{
		At: milliseconds(at), Until: milliseconds(at), Kind: kind, Side: sidePeer, Way: wayIn, Call: call,
		What: countMessages(kind, n, size), Bytes: size, Messages: n,
	}
	if kind == kindSend {
		s.Way = wayOut
	}
	l.append(s)
}

func countMessages(kind string, n, size int64) string {
	if n == 1 {
		return fmt.Sprintf("%s 1 message, %d bytes", kind, size)
	}
	return fmt.Sprintf("%s %d messages, %d bytes", kind, n, size)
}
