package zmtp

import (
	"bytes"
	"fmt"
)

// GreetingSize is the length of the greeting of 3.0 and later.
const GreetingSize = 64

// Where the parts of a greeting begin: the signature at 0, then these.
const (
	majorAt     = 10
	minorAt     = 11
	mechanismAt = 12
	asServerAt  = 32
)

// A Greeting is what each end sends first (37/ZMTP, Formal Grammar).
type Greeting struct {
	Major, Minor byte
	Mechanism    string // at most 20 capital letters, digits or any of -_.+
	AsServer     bool
}

// AppendGreeting appends g to dst, [GreetingSize] bytes.
func AppendGreeting(dst []byte, g Greeting) []byte {
	var b [GreetingSize]byte
	b[0], b[majorAt-1] = 0xFF, 0x7F
	b[majorAt], b[minorAt] = g.Major, g.Minor
	copy(b[mechanismAt:asServerAt], g.Mechanism)
	if g.AsServer {
		b[asServerAt] = 1
	}
	return append(dst, b[:]...)
}

// ParseGreeting reads a greeting of 3.0 or later, [GreetingSize] bytes. What the
// padding and the filler hold doesn't matter. The error is a [*ProtocolError].
func ParseGreeting(b []byte) (Greeting, error) {
	if err := checkSignature(b); err != nil {
		return Greeting{}, err
	}
	if len(b) != GreetingSize {
		return Greeting{}, greetingError("it has %d bytes, not %d", len(b), GreetingSize)
	}
	if b[majorAt] < 3 {
		return Greeting{}, greetingError("version %d has no greeting of this form", b[majorAt])
	}
	name, padding, _ := bytes.Cut(b[mechanismAt:asServerAt], []byte{0})
	if len(name) == 0 || len(bytes.Trim(padding, "\x00")) != 0 {
		return Greeting{}, greetingError("the mechanism is not a name padded with NUL")
	}
	for _, c := range name {
		if !isPropertyName([]byte{c}) || c >= 'a' && c <= 'z' {
			return Greeting{}, greetingError("the mechanism %q is not a name", name)
		}
	}
	return Greeting{Major: b[majorAt], Minor: b[minorAt], Mechanism: string(name), AsServer: b[asServerAt] == 1}, nil
}

// checkSignature says whether b, of any length, may be the beginning of what a peer of 2.0 or later sends,
// and of what else it may be where not.
func checkSignature(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != 0xFF:
		return greetingError("it begins with byte %#02x, not 0xff: %s", b[0], guess(b[0]))
	case len(b) >= majorAt && b[majorAt-1]&1 == 0:
		return greetingError("the peer speaks ZMTP 1.0, which is not supported")
	case len(b) >= majorAt && b[majorAt-1] != 0x7F:
		return greetingError("the signature ends with byte %#02x, not 0x7f", b[majorAt-1])
	case len(b) > majorAt && b[majorAt] == 0:
		return greetingError("the peer speaks ZMTP 1.0 (revision 0), which is not supported")
	}
	return nil
}

// guess says what a peer speaks, by its first byte.
func guess(first byte) string {
	switch {
	case first == 0x16:
		return "the peer seems to speak TLS"
	case first >= 'A' && first <= 'Z':
		return "the peer speaks a protocol of text, HTTP perhaps, or ZMTP 1.0, which is not supported"
	}
	return "the peer speaks ZMTP 1.0, which is not supported, or is no ZMTP peer"
}

func greetingError(format string, args ...any) error {
	return &ProtocolError{Rule: ruleGreeting, Detail: fmt.Sprintf(format, args...)}
}
