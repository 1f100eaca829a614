package zmtp

// A Session is a connection whose handshake is done: it knows the peer, and
// how frames look on the wire.
//
// One goroutine at a time may seal, and one, which may be another, may open.
type Session struct {
	peer Peer
	box  *curveBox // nil unless the mechanism is CURVE
}

// Peer gives what the peer said of itself.
func (s *Session) Peer() Peer { return s.peer }

// Secure reports whether frames are encrypted and authenticated.
func (s *Session) Secure() bool { return s.box != nil }

// Seal appends to dst one whole frame that holds body, as it goes on the
// wire, with FlagMore and FlagCommand of f. It keeps nothing of body, which must not
// lie in dst's spare capacity. With CURVE frames must be sent in the order
// in which they are sealed, each of them once. A peer of 2.0 is sent no commands.
func (s *Session) Seal(dst []byte, f Flags, body []byte) []byte {
	if s.box != nil {
		return s.box.seal(dst, f, body)
	}
	return AppendFrame(dst, f, body)
}

// SealSubscription appends a frame that subscribes to topic or takes that back,
// in the form that the peer knows: a command, or before 3.1 a message.
func (s *Session) SealSubscription(dst []byte, sub Subscription) []byte {
	// Most topics are short, and then the body takes no memory.
	body := make([]byte, 0, 64)
	switch {
	case !s.peer.AtLeast(3, 1) && sub.Cancel:
		return s.Seal(dst, 0, append(append(body, 0), sub.Topic...))
	case !s.peer.AtLeast(3, 1):
		return s.Seal(dst, 0, append(append(body, 1), sub.Topic...))
	case sub.Cancel:
		return s.Seal(dst, FlagCommand, AppendCancel(body, sub.Topic))
	}
	return s.Seal(dst, FlagCommand, AppendSubscribe(body, sub.Topic))
}

// Open gives what a received frame holds: its flags, of which FlagLong is
// taken off, and its body. With CURVE it decrypts into body, of which what it
// gives is a part; else that is body itself. Frames are opened in the order in which they came, each of them once.
//
// The error is a [*ProtocolError]; the connection is then to be closed.
func (s *Session) Open(f Flags, body []byte) (Flags, []byte, error) {
	if s.box != nil {
		return s.box.open(body)
	}
	if f&FlagCommand != 0 && s.peer.Major < 3 {
		return 0, nil, &ProtocolError{Rule: ruleZMTP2, Detail: "reserved flag set"}
	}
	return f &^ FlagLong, body, nil
}

// Overhead is how many bytes longer the body of a received frame may be than what Open gives of it: what CURVE
// adds, else 0. A limit for messages has to leave room for it.
func (s *Session) Overhead() int {
	if s.box != nil {
		return curveOverhead
	}
	return 0
}
