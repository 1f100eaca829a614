package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The version that this end speaks.
const (
	major = 3
	minor = 1
)

// MaxHandshakeCommand bounds the body of a command that is taken during the handshake.
const MaxHandshakeCommand = 8 << 10

// readAtOnce is how much of it a peer gets memory for before it has sent more.
const readAtOnce = 512

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
	if h.peer.Type, ok = ParseSocketType(string(socketType)); !ok {
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

// deny refuses the peer, and tells it so. Whether it still hears that doesn't matter.
func (h *handshake) deny(reason string) error {
	_ = h.writeCommand(AppendError(nil, reasonDenied))
	return &HandshakeError{Err: ErrDenied, Reason: reason}
}

// takeInitiate is a server's takeMetadata, which tells the client if its type is wrong.
func (h *handshake) takeInitiate(data []byte) error {
	err := h.takeMetadata(data)
	if errors.Is(err, ErrIncompatible) {
		_ = h.writeCommand(AppendError(nil, "incompatible socket types"))
	}
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
	// A header has 2 bytes or 9; nothing after it may be read with it.
	if err := h.readFull(header[:2], name); err != nil {
		return nil, err
	}
	parsed, n, err := ParseHeader(header[:2])
	if err == nil && n == 0 {
		if err := h.readFull(header[2:], name); err != nil {
			return nil, err
		}
		parsed, _, err = ParseHeader(header[:])
	}
	if err != nil {
		return nil, h.at(err)
	}
	if parsed.Flags&FlagCommand == 0 {
		return nil, h.fault(ruleHandshake, "a message came before the handshake was done, instead of "+name)
	}
	if parsed.Length > MaxHandshakeCommand {
		return nil, h.fault(ruleHandshake, fmt.Sprintf("a command of %d bytes, at most %d are taken", parsed.Length, MaxHandshakeCommand))
	}
	var body []byte // grows with what arrives
	for left := int(parsed.Length); left > 0; {
		n := min(left, readAtOnce)
		body = append(body, make([]byte, n)...)
		if err := h.readFull(body[len(body)-n:], name); err != nil {
			return nil, err
		}
		left -= n
	}
	c, err := ParseCommand(mend(body))
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

// mend gives ERROR as it should be: a PLAIN server of libzmq 4.3 puts the byte 0x5E where the length and the E of the
// name belong, which as a command is cut.
func mend(body []byte) []byte {
	if rest, ok := bytes.CutPrefix(body, []byte("^RROR")); ok {
		return append(appendName(nil, CommandError), rest...)
	}
	return body
}

func (h *handshake) readFull(b []byte, what string) error {
	n, err := io.ReadFull(h.rw, b)
	h.read += int64(n)
	if err != nil {
		return h.awaiting(what, err)
	}
	return nil
}

// awaiting says what the peer still owed when reading failed, and what its silent end may mean.
func (h *handshake) awaiting(what string, err error) error {
	hint := ""
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF // the peer is in the middle of a handshake, wherever it stops
		switch what {
		case CommandReady:
			hint = " (it may not accept a " + h.config.Type.String() + ")"
		case commandWelcome:
			hint = " (it may not accept the password, or have another key)"
		}
	}
	return fmt.Errorf("zmtp handshake: waiting for %s: %w%s", what, err, hint)
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
