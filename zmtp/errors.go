package zmtp

import (
	"errors"
	"fmt"
)

// A ProtocolError is a fault of the peer on the wire. The connection can't go on.
type ProtocolError struct {
	// Offset is where the faulty unit begins: in [Handshake] in bytes from the
	// beginning of the stream, elsewhere from the beginning of what was parsed.
	Offset int64
	// Rule names what was broken, by document and section.
	Rule string
	// Detail says how.
	Detail string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: %s (at byte %d)", e.Rule, e.Detail, e.Offset)
}

// The rules that the peer can break.
const (
	ruleFraming   = "37/ZMTP framing"
	ruleGreeting  = "37/ZMTP greeting"
	ruleCommand   = "37/ZMTP commands"
	ruleMetadata  = "37/ZMTP metadata"
	ruleHandshake = "37/ZMTP handshake"
	ruleHeartbeat = "37/ZMTP heartbeats"
	ruleZMTP2     = "15/ZMTP 2.0"
	rulePlain     = "24/PLAIN"
	ruleCurve     = "26/CURVEZMQ"
)

// Why two ends that both speak the protocol don't come together. Each comes
// in a [*HandshakeError].
var (
	// ErrMechanism says that the ends have different security mechanisms.
	ErrMechanism = errors.New("security mechanisms differ")
	// ErrIncompatible says that sockets of the two types don't talk to each other.
	ErrIncompatible = errors.New("incompatible socket types")
	// ErrDenied says that one end refused the other: its password or key, or
	// for a reason that the command ERROR told.
	ErrDenied = errors.New("access denied")
)

// A HandshakeError is a handshake that both ends did by the rules, and that
// came to nothing.
type HandshakeError struct {
	Err    error  // ErrMechanism, ErrIncompatible or ErrDenied
	Ours   string // the mechanism or the socket type of this end; empty with ErrDenied
	Theirs string // the peer's
	// Reason is what the peer said in the command ERROR, or why this end
	// denied it. It is the peer's text: print it quoted.
	Reason string
}

func (e *HandshakeError) Error() string {
	if e.Ours == "" {
		return fmt.Sprintf("%v: %s", e.Err, explain(e.Reason))
	}
	return fmt.Sprintf("%v: %s here, %s there", e.Err, e.Ours, e.Theirs)
}

// Unwrap gives Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// explain quotes a reason, with the meaning of the codes that libzmq sends in place of words (27/ZAP).
func explain(reason string) string {
	switch reason {
	case "":
		return "no reason given"
	case "300":
		return "300 (temporary failure)"
	case reasonDenied:
		return "400 (authentication failure)"
	case "500":
		return "500 (internal error)"
	}
	return fmt.Sprintf("%q", reason)
}

// reasonDenied is what this end says in ERROR to whom it denies: libzmq tells its user of an authentication failure by this code.
const reasonDenied = "400"
