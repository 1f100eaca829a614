// Package frame finds the bounds of messages on a byte stream. A [Framing]
// says how they are marked, a [Reader] takes messages off a stream, [Append] puts
// them on one, and a [Conn] makes a message connection of a [net.Conn].
//
// What Append accepts, a Reader gives back, byte for byte, however the stream
// cuts it. A Reader's memory grows with the bytes that arrive, never with what a length claims.
package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Framing is a way to mark the bounds of messages.
type Framing int

// The framings.
const (
	// Line ends each message with a newline. A carriage return before it is
	// taken off, and the last line may lack its newline. A message can
	// neither hold a newline nor end with a carriage return.
	Line Framing = iota
	// NUL ends each message with a NUL byte. A message can hold none.
	NUL
	// Len16 puts each message's length before it, in 16 bits, big-endian.
	Len16
	// Len32 does so in 32 bits.
	Len32
	// Uvarint does so in 1 to 10 bytes, 7 bits in each, the low ones first and
	// the highest bit set in all but the last, as [encoding/binary.Uvarint]
	// and Protocol Buffers have it. Only the shortest form is valid.
	Uvarint
)

var names = [...]string{"line", "nul", "len16", "len32", "uvarint"}

// String gives the name that [Parse] reads.
func (f Framing) String() string {
	if f < 0 || int(f) >= len(names) {
		return fmt.Sprintf("framing %d", int(f))
	}
	return names[f]
}

// Parse reads the name of a framing: line, nul, len16, len32 or uvarint.
func Parse(name string) (Framing, error) {
	if i := slices.Index(names[:], name); i >= 0 {
		return Framing(i), nil
	}
	return 0, fmt.Errorf("unknown framing %q: there are %s", name, strings.Join(names[:], ", "))
}

// Errors of messages that can't be framed, to be tested with [errors.Is].
var (
	// ErrTooLong is a message over the limit of a Reader, or longer than its framing can tell.
	ErrTooLong = errors.New("message too long")
	// ErrDelimiter is a message that holds what would end it early.
	ErrDelimiter = errors.New("message holds its delimiter")
)

// A ProtocolError is a fault of the peer on the wire.
type ProtocolError struct {
	// Offset is where the faulty unit begins, in bytes from the beginning of the stream or the message.
	Offset int64
	// Rule names what was broken.
	Rule string
	// Detail says how.
	Detail string
	// Err is the error of this package that it is an instance of; it may be nil.
	Err error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: %s (at byte %d)", e.Rule, e.Detail, e.Offset)
}

// Unwrap gives Err.
func (e *ProtocolError) Unwrap() error { return e.Err }

// Append appends msg in its frame to dst. The error is [ErrTooLong] or
// [ErrDelimiter]; dst is then given back as it was.
func Append(dst []byte, f Framing, msg []byte) ([]byte, error) {
	framed, err := appendHead(dst, f, msg)
	if err != nil {
		return dst, err
	}
	return append(append(framed, msg...), f.tail()...), nil
}

// appendHead appends what goes before msg, if msg can be framed.
func appendHead(dst []byte, f Framing, msg []byte) ([]byte, error) {
	switch f {
	case Line:
		if i := bytes.IndexByte(msg, '\n'); i >= 0 {
			return nil, fmt.Errorf("line framing: %w: newline at byte %d", ErrDelimiter, i)
		}
		if bytes.HasSuffix(msg, []byte("\r")) {
			return nil, fmt.Errorf("line framing: %w: carriage return at the end", ErrDelimiter)
		}
		return dst, nil
	case NUL:
		if i := bytes.IndexByte(msg, 0); i >= 0 {
			return nil, fmt.Errorf("nul framing: %w: NUL at byte %d", ErrDelimiter, i)
		}
		return dst, nil
	case Len16:
		if len(msg) > math.MaxUint16 {
			return nil, fmt.Errorf("len16 framing: %w: %d bytes, at most %d", ErrTooLong, len(msg), math.MaxUint16)
		}
		return binary.BigEndian.AppendUint16(dst, uint16(len(msg))), nil
	case Len32:
		if uint64(len(msg)) > math.MaxUint32 {
			return nil, fmt.Errorf("len32 framing: %w: %d bytes, at most %d", ErrTooLong, len(msg), uint32(math.MaxUint32))
		}
		return binary.BigEndian.AppendUint32(dst, uint32(len(msg))), nil
	case Uvarint:
		return binary.AppendUvarint(dst, uint64(len(msg))), nil
	}
	return nil, fmt.Errorf("%v: %w", f, errors.ErrUnsupported)
}

// tail is what goes after a message.
func (f Framing) tail() string {
	switch f {
	case Line:
		return "\n"
	case NUL:
		return "\x00"
	}
	return ""
}

// A span is where a message lies in the bytes that begin with its frame. Its
// frame is whole when they are at least end long; end is 0 while that isn't known yet.
type span struct{ head, size, end uint64 }

// scan looks for the first frame of b, of which nothing before seen ends it.
// The fault is what can't be the beginning of a frame.
func (f Framing) scan(b []byte, seen int) (s span, fault string) {
	switch f {
	case Line, NUL:
		i := bytes.IndexByte(b[seen:], f.tail()[0])
		if i < 0 {
			return span{}, ""
		}
		s = span{size: uint64(seen + i), end: uint64(seen+i) + 1}
		if f == Line && s.size > 0 && b[s.size-1] == '\r' {
			s.size--
		}
		return s, ""
	case Len16:
		if len(b) < 2 {
			return span{}, ""
		}
		return sized(2, uint64(binary.BigEndian.Uint16(b))), ""
	case Len32:
		if len(b) < 4 {
			return span{}, ""
		}
		return sized(4, uint64(binary.BigEndian.Uint32(b))), ""
	case Uvarint:
		size, n := binary.Uvarint(b)
		switch {
		case n == 0 && len(b) < binary.MaxVarintLen64:
			return span{}, ""
		case n <= 0:
			return span{}, "length overflows 64 bits"
		case n > 1 && b[n-1] == 0:
			return span{}, "length is not in its shortest form"
		}
		return sized(uint64(n), size), ""
	}
	return span{}, "unknown framing"
}

// sized is the span of a message whose length was told in head bytes.
func sized(head, size uint64) span {
	if size > math.MaxInt64 {
		size = math.MaxInt64 // over every limit, and adding to it can't overflow
	}
	return span{head: head, size: size, end: head + size}
}
