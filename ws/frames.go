package ws

import (
	"encoding/binary"
	"fmt"

	"github.com/tincan-ipc/tincan"
)

// frames follows the headers of the frames that arrive (RFC 6455 §5.2). The
// library below counts a message's bytes as they come; a length that is over the
// limit is seen here before any of them did.
type frames struct {
	limit int64  // of a message, negative for none: then there is nothing to follow
	fault error  // the frame that is over it
	skip  uint64 // bytes of the payload to come
	head  [10]byte
	have  int // bytes of head
}

// scan gives how many bytes of b may be handed on: all, or those before the last
// byte of a header that is over the limit.
func (f *frames) scan(b []byte) int {
	if f.limit < 0 {
		return len(b)
	}
	for i := 0; i < len(b); {
		if f.skip > 0 {
			n := min(f.skip, uint64(len(b)-i))
			f.skip -= n
			i += int(n)
			continue
		}
		f.head[f.have] = b[i]
		f.have++
		length, whole := f.length()
		if whole && f.head[0]&8 == 0 && length > uint64(f.limit) { // a control frame's length is the library's to check
			f.fault = fmt.Errorf("%w: %d bytes announced, the limit is %d", tincan.ErrMessageTooLong, length, f.limit)
			return i
		}
		if i++; whole {
			f.have, f.skip = 0, length
			if f.head[1]&0x80 != 0 {
				f.skip = min(f.skip, 1<<63) + 4 // the mask; the min keeps what is no length from overflowing
			}
		}
	}
	return len(b)
}

// length gives the payload's, once head holds it.
func (f *frames) length() (length uint64, whole bool) {
	if f.have < 2 {
		return 0, false
	}
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:])), f.have == 4
	case 127:
		return binary.BigEndian.Uint64(f.head[2:]), f.have == 10
	default:
		return uint64(n), true
	}
}
