package zmtp

import (
	"encoding/binary"
	"math"
)

// Flags are the first byte of a frame (37/ZMTP, Framing).
type Flags byte

// The flags. The five bits above them are reserved and zero.
const (
	// FlagMore says that more frames of the same message follow.
	FlagMore Flags = 1 << iota
	// FlagLong says that the length has 8 bytes, not 1. The functions that
	// append a frame set it by the length, whatever they are given.
	FlagLong
	// FlagCommand says that the frame holds a command, not a part of a message.
	FlagCommand

	reserved = ^(FlagMore | FlagLong | FlagCommand)
)

// MaxHeader is the length of the longest header.
const MaxHeader = 9

// A Header is what goes before the body of a frame.
type Header struct {
	Flags  Flags
	Length uint64 // of the body; at most math.MaxInt64
}

// ParseHeader reads the header that b begins with and gives its length n, 2 or 9.
// With n 0 and no error b holds a part of one and more bytes are needed. The
// error is a [*ProtocolError], as soon as the bytes can't become a header. It
// takes no memory and may be called at once with anything.
func ParseHeader(b []byte) (h Header, n int, err error) {
	// Most frames by far are short parts of messages.
	if len(b) >= 2 && b[0] <= byte(FlagMore) {
		return Header{Flags: Flags(b[0]), Length: uint64(b[1])}, 2, nil
	}
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	f := Flags(b[0])
	if f&reserved != 0 {
		return Header{}, 0, framingError("reserved flag set")
	}
	if f&(FlagCommand|FlagMore) == FlagCommand|FlagMore {
		return Header{}, 0, framingError("a command has the flag MORE")
	}
	if f&FlagLong == 0 {
		if len(b) < 2 {
			return Header{}, 0, nil
		}
		return Header{Flags: f, Length: uint64(b[1])}, 2, nil
	}
	if len(b) > 1 && b[1] > math.MaxInt8 {
		return Header{}, 0, framingError("length over 2^63-1")
	}
	if len(b) < MaxHeader {
		return Header{}, 0, nil
	}
	return Header{Flags: f, Length: binary.BigEndian.Uint64(b[1:])}, MaxHeader, nil
}

func framingError(detail string) error { return &ProtocolError{Rule: ruleFraming, Detail: detail} }

// AppendHeader appends to dst the header of a frame whose body has n bytes, in
// the shortest form; n is not negative.
func AppendHeader(dst []byte, f Flags, n int) []byte {
	if n <= math.MaxUint8 {
		return append(dst, byte(f&^FlagLong), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, byte(f|FlagLong)), uint64(n))
}

// AppendFrame appends a whole frame to dst. It keeps nothing of body, which
// must not lie in dst's spare capacity.
func AppendFrame(dst []byte, f Flags, body []byte) []byte {
	return append(AppendHeader(dst, f, len(body)), body...)
}
