package zmtp

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// A Mechanism is one side of a security mechanism: [PlainClient], [PlainServer],
// [CurveClient] or [CurveServer]. Both ends of a connection have the same
// mechanism, one as the client and one as the server; which of the two has
// dialled doesn't matter. A Mechanism may serve many handshakes at once.
type Mechanism interface {
	// Name gives the name in the greeting: PLAIN or CURVE.
	Name() string
	asServer() bool
	// handshake goes from the greetings to where messages may flow.
	handshake(h *handshake) error
}

// null is the mechanism NULL: each end sends READY at once (37/ZMTP, The NULL Security Mechanism).
type null struct{}

func (null) Name() string   { return "NULL" }
func (null) asServer() bool { return false }

func (null) handshake(h *handshake) error {
	if err := h.writeCommand(AppendReady(nil, h.config.properties())); err != nil {
		return err
	}
	data, err := h.readCommand(CommandReady)
	if err != nil {
		return err
	}
	return h.takeMetadata(data)
}

// A PlainClient tells a server its name and password, in clear text (24/ZMTP-PLAIN):
// whoever sees the connection has them. Each has at most 255 bytes.
type PlainClient struct {
	User, Password string
}

// Name gives PLAIN.
func (PlainClient) Name() string { return "PLAIN" }

// String tells all but the password.
func (m PlainClient) String() string { return fmt.Sprintf("PLAIN client %q", m.User) }

// GoString tells no more than String.
func (m PlainClient) GoString() string { return m.String() }

func (PlainClient) asServer() bool { return false }

func (m PlainClient) handshake(h *handshake) error {
	if err := h.writeCommand(appendName(appendName(appendName(nil, commandHello), m.User), m.Password)); err != nil {
		return err
	}
	data, err := h.readCommand(commandWelcome)
	if err != nil {
		return err
	}
	if len(data) != 0 {
		return h.fault(rulePlain, "WELCOME is not empty")
	}
	if err := h.writeCommand(AppendMetadata(appendName(nil, commandInitiate), h.config.properties())); err != nil {
		return err
	}
	if data, err = h.readCommand(CommandReady); err != nil {
		return err
	}
	return h.takeMetadata(data)
}

// A PlainServer lets in the clients whose password Users holds, and those for
// which Check says so. The zero value lets nobody in.
type PlainServer struct {
	// Users holds passwords by user name. They are compared in a time that
	// doesn't depend on them. It must not be changed while handshakes run.
	Users map[string]string
	// Check is called by the handshakes, of which many may run at once. It may be nil.
	Check func(user, password string) bool
}

// Name gives PLAIN.
func (PlainServer) Name() string { return "PLAIN" }

// String tells no password.
func (m PlainServer) String() string { return fmt.Sprintf("PLAIN server with %d users", len(m.Users)) }

// GoString tells no more than String.
func (m PlainServer) GoString() string { return m.String() }

func (PlainServer) asServer() bool { return true }

func (m PlainServer) handshake(h *handshake) error {
	data, err := h.readCommand(commandHello)
	if err != nil {
		return err
	}
	user, rest, ok := cutName(data)
	password, rest, ok2 := cutName(rest)
	if !ok || !ok2 || len(rest) != 0 {
		return h.fault(rulePlain, "HELLO is cut, or holds more than a user name and a password")
	}
	if !m.allows(user, password) {
		return h.deny("user name or password of " + user)
	}
	h.peer.User = user
	if err := h.writeCommand(appendName(nil, commandWelcome)); err != nil {
		return err
	}
	if data, err = h.readCommand(commandInitiate); err != nil {
		return err
	}
	if err := h.takeInitiate(data); err != nil {
		return err
	}
	return h.writeCommand(AppendReady(nil, h.config.properties()))
}

func (m PlainServer) allows(user, password string) bool {
	want, known := m.Users[user]
	// Digests have one length, so that the time tells nothing of the password's.
	got, kept := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(got[:], kept[:]) == 1 && known {
		return true
	}
	return m.Check != nil && m.Check(user, password)
}

// cutName takes a string with its length before it off b.
func cutName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return "", nil, false
	}
	n := int(b[0])
	return string(b[1 : 1+n]), b[1+n:], true
}
