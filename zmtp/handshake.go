package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The version that this end speaks.
const (
	major = 3
	minor = 1
)

// MaxHandshakeCommand bounds the body of a command that is taken during the handshake.
const MaxHandshakeCommand = 8 << 10

// A Config says what this end of a connection is. It is only read, and may serve
// many handshakes at once.
type Config struct {
	Type SocketType
	// Identity is what a ROUTER at the other end addresses this end by: at
	// most 255 bytes, of which the first is not 0. Empty: the ROUTER makes one up.
	Identity []byte
	// Mechanism is this end's security, and the only one that it talks with; nil is NULL, which has none.
	Mechanism Mechanism
	// Properties are told to the peer besides the type and the identity.
	// A peer of 2.0 is told of none.
	Properties []Property
}

// A Peer is what the other end of a connection said of itself. Only what
// CURVE told is proved; with PLAIN, User is.
type Peer struct {
	Major, Minor byte // the version of the protocol that it speaks: 2.0, 3.0, 3.1 or later
	Type         SocketType
	Identity     []byte // empty where it has none
	// Properties are all that it told, Socket-Type and Identity among them. A peer of 2.0 tells none.
	Properties []Property
	Mechanism  string   // NULL, PLAIN or CURVE
	User       string   // whom a PLAIN client said it was, and a server accepted
	Key        [32]byte // the permanent public key of the CURVE peer
}

// AtLeast reports whether the peer speaks this version or a later one. Peers of
// 3.1 know SUBSCRIBE, CANCEL, PING and PONG; to others no command is sent.
func (p *Peer) AtLeast(major, minor byte) bool {
	return p.Major > major || p.Major == major && p.Minor >= minor
}

// Property gives the value of a property, whose name is compared without
// regard to case, and whether the peer told it.
func (p *Peer) Property(name string) (value []byte, ok bool) {
	for _, q := range p.Properties {
		if strings.EqualFold(q.Name, name) {
			return q.Value, true
		}
	}
	return nil, false
}

// Handshake agrees with the peer at the other end of rw on version, mechanism
// and socket types; nil is a zero Config. It blocks until that is done or has
// failed; its deadline is the one that the caller has set on the connection. It
// reads not one byte past the handshake, in many small reads: give it a
// buffer that is read from afterwards too. Writes must not wait for
// the peer to read, as those of net.Pipe do: both ends write first.
//
// Errors are a [*ProtocolError] for a fault of the peer, a [*HandshakeError] with [ErrMechanism],
// [ErrIncompatible] or [ErrDenied], and those of rw, with [io.ErrUnexpectedEOF] for
// an end that comes too early. After any of them the connection is to be closed.
//
// With NULL it waits for the version of the peer before it sends more than its own, for
// a peer of 2.0 would take the rest for messages (37/ZMTP, Detecting ZMTP 2.0 Peers).
// With a mechanism, which 2.0 can't have, it sends the whole greeting at once.
func Handshake(rw io.ReadWriter, c *Config) (*Session, error) {
	if c == nil {
		c = &Config{}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &handshake{rw: rw, config: c, mechanism: c.Mechanism}
	if h.mechanism == nil {
		h.mechanism = null{}
	}
	if err := h.run(); err != nil {
		return nil, err
	}
	return &Session{peer: h.peer, box: h.box}, nil
}

// check refuses what can't be sent.
func (c *Config) check() error {
	if !c.Type.valid() {
		return fmt.Errorf("zmtp: there is no %v", c.Type)
	}
	if err := checkIdentity(c.Identity); err != nil {
		return fmt.Errorf("zmtp: %w", err)
	}
	for _, p := range c.Properties {
		if !isPropertyName(p.Name) {
			return fmt.Errorf("zmtp: %q can't be the name of a property", p.Name)
		}
	}
	if n := len(AppendReady(nil, c.properties())); n > MaxHandshakeCommand/2 {
		return fmt.Errorf("zmtp: properties take %d bytes, more than %d", n, MaxHandshakeCommand/2)
	}
	return nil
}

func checkIdentity(identity []byte) error {
	if len(identity) > 255 {
		return errors.New("an identity has more than 255 bytes")
	}
	if len(identity) > 0 && identity[0] == 0 {
		return errors.New("an identity begins with byte 0")
	}
	return nil
}

// properties are all that the peer is told.
func (c *Config) properties() []Property {
	all := []Property{{Name: PropertySocketType, Value: []byte(c.Type.String())}}
	if c.Type.announces() || len(c.Identity) > 0 {
		all = append(all, Property{Name: PropertyIdentity, Value: c.Identity})
	}
	return append(all, c.Properties...)
}

// A handshake is one under way.
type handshake struct {
	rw        io.ReadWriter
	config    *Config
	mechanism Mechanism
	read      int64 // bytes read so far
	unit      int64 // where the unit that is being read began
	peer      Peer
	box       *curveBox // of CURVE, once it has keys
}

func (h *handshake) run() error {
	ours := AppendGreeting(nil, Greeting{Major: major, Minor: minor, Mechanism: h.mechanism.Name(), AsServer: h.mechanism.asServer()})
	_, open := h.mechanism.(null)
	first := len(ours)
	if open {
		first = minorAt
	}
	if err := h.write(ours[:first]); err != nil {
		return err
	}
	var theirs [GreetingSize]byte
	if err := h.readVersion(theirs[:minorAt]); err != nil {
		return err
	}
	if theirs[majorAt] < major {
		if !open {
			return &HandshakeError{Err: ErrMechanism, Ours: h.mechanism.Name(), Theirs: "NULL, for it speaks ZMTP 2.0,"}
		}
		return h.run2()
	}
	if err := h.write(ours[first:]); err != nil {
		return err
	}
	if err := h.readFull(theirs[minorAt:], "the greeting"); err != nil {
		return err
	}
	g, err := ParseGreeting(theirs[:])
	if err != nil {
		return err
	}
	if g.Mechanism != h.mechanism.Name() {
		return &HandshakeError{Err: ErrMechanism, Ours: h.mechanism.Name(), Theirs: g.Mechanism}
	}
	h.peer.Major, h.peer.Minor, h.peer.Mechanism = g.Major, g.Minor, g.Mechanism
	return h.mechanism.handshake(h)
}

// readVersion reads the signature and the version, and refuses as soon as it
// can tell: a peer of another protocol may have sent few bytes and wait for ours.
func (h *handshake) readVersion(b []byte) error {
	for n := 0; n < len(b); {
		if err := h.readFull(b[n:n+1], "the greeting"); err != nil {
			return err
		}
		n++
		if n == 1 {
			if err := checkSignature(b[:n]); err != nil {
				return err
			}
			if err := h.readFull(b[n:majorAt], "the greeting"); err != nil {
				return err
			}
			n = majorAt
		}
		if err := checkSignature(b[:n]); err != nil {
			return err
		}
	}
	return nil
}

// run2 goes on as ZMTP 2.0 (15/ZMTP): socket type and identity.
func (h *handshake) run2() error {
	err := h.write(AppendFrame([]byte{byte(h.config.Type)}, 0, h.config.Identity))
	if err != nil {
		return err
	}
	h.unit = h.read
	var b [3]byte // the type, and the header of the identity's frame
	if err := h.readFull(b[:], "the socket type and identity"); err != nil {
		return err
	}
	h.peer = Peer{Major: 2, Mechanism: null{}.Name(), Type: SocketType(b[0])}
	if b[1] != 0 {
		return h.fault(ruleZMTP2, "the identity is not a short frame")
	}
	h.peer.Identity = make([]byte, b[2])
	if err := h.readFull(h.peer.Identity, "the identity"); err != nil {
		return err
	}
	if err := checkIdentity(h.peer.Identity); err != nil {
		return h.fault(ruleZMTP2, err.Error())
	}
	return h.checkType(h.peer.Type.String())
}

// takeMetadata notes what the peer says of itself, and checks its type.
func (h *handshake) takeMetadata(data []byte) error {
	properties, err := ParseMetadata(data)
	if err != nil {
		return h.at(err)
	}
	h.peer.Properties = properties
	socketType, ok := h.peer.Property(PropertySocketType)
	if !ok {
		return h.fault(ruleMetadata, "the property Socket-Type is missing")
	}
	h.peer.Identity, _ = h.peer.Property(PropertyIdentity)
	if err := checkIdentity(h.peer.Identity); err != nil {
		return h.fault(ruleMetadata, err.Error())
	}
	known := false
	if h.peer.Type, known = ParseSocketType(string(socketType)); !known {
		return h.incompatible(fmt.Sprintf("%.20q", socketType))
	}
	return h.checkType(h.peer.Type.String())
}

func (h *handshake) checkType(name string) error {
	if h.config.Type.Accepts(h.peer.Type) {
		return nil
	}
	return h.incompatible(name)
}

func (h *handshake) incompatible(theirs string) error {
	return &HandshakeError{Err: ErrIncompatible, Ours: h.config.Type.String(), Theirs: theirs}
}

// deny tells the peer why it is refused, and gives the error. Whether the
// peer still hears it doesn't matter.
func (h *handshake) deny(err error, reason string) error {
	_ = h.writeCommand(AppendError(nil, reason))
	return err
}

func (h *handshake) writeCommand(body []byte) error {
	return h.write(AppendFrame(nil, FlagCommand, body))
}

func (h *handshake) write(b []byte) error {
	if _, err := h.rw.Write(b); err != nil {
		return fmt.Errorf("zmtp handshake: %w", err)
	}
	return nil
}

// readCommand reads the command that has to come now, or ERROR, which is
// given as the error.
func (h *handshake) readCommand(name string) ([]byte, error) {
	h.unit = h.read
	var header [MaxHeader]byte
	var parsed Header
	for n, size := 0, 2; n == 0; size = MaxHeader {
		// A header has 2 bytes or 9; nothing after it may be read with it.
		from := 0
		if size == MaxHeader {
			from = 2
		}
		if err := h.readFull(header[from:size], name); err != nil {
			return nil, err
		}
		var err error
		if parsed, n, err = ParseHeader(header[:size]); err != nil {
			return nil, h.at(err)
		}
	}
	if parsed.Flags&FlagCommand == 0 {
		return nil, h.fault(ruleHandshake, "a message came before the handshake was done, instead of "+name)
	}
	if parsed.Length > MaxHandshakeCommand {
		return nil, h.fault(ruleHandshake, fmt.Sprintf("a command of %d bytes, at most %d are taken", parsed.Length, MaxHandshakeCommand))
	}
	var body bytes.Buffer                                               // grows with what arrives
	n, err := body.ReadFrom(io.LimitReader(h.rw, int64(parsed.Length))) //nolint:gosec // bounded above
	h.read += n
	if err == nil && n < int64(parsed.Length) { //nolint:gosec // bounded above
		err = io.EOF
	}
	if err != nil {
		return nil, awaiting(name, err)
	}
	c, err := ParseCommand(body.Bytes())
	if err != nil {
		return nil, h.at(err)
	}
	switch c.Name {
	case name:
		return c.Data, nil
	case CommandError:
		reason, err := ParseError(c.Data)
		if err != nil {
			return nil, h.at(err)
		}
		return nil, &HandshakeError{Err: ErrDenied, Reason: reason}
	}
	return nil, h.fault(ruleHandshake, fmt.Sprintf("the command %.20q came instead of %s", c.Name, name))
}

func (h *handshake) readFull(b []byte, what string) error {
	n, err := io.ReadFull(h.rw, b)
	h.read += int64(n)
	if err != nil {
		return awaiting(what, err)
	}
	return nil
}

// awaiting says what the peer still owed when reading failed.
func awaiting(what string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the peer is in the middle of a handshake, wherever it stops
	}
	return fmt.Errorf("zmtp handshake: waiting for %s: %w", what, err)
}

func (h *handshake) fault(rule, detail string) error {
	return &ProtocolError{Offset: h.unit, Rule: rule, Detail: detail}
}

// at tells where in the stream a fault is that was found by parsing a unit.
func (h *handshake) at(err error) error {
	if fault, ok := errors.AsType[*ProtocolError](err); ok {
		return h.fault(fault.Rule, fault.Detail)
	}
	return err
}
