package pattern

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tincan-ipc/tincan/zmtp"
)

// Lengths of the buffers that connections are read into. Many small messages come with one read;
// a stream of longer ones gets the large buffers. Beyond them a message has a buffer of its own.
const (
	tinyChunk  = 512
	smallChunk = 64 << 10
	largeChunk = 256 << 10
	// compact is the length up to which what was read is copied, so that a short message that
	// waits does not hold a buffer for many.
	compact = 4 << 10
)

// A chunk is a run of whole messages as they came, as frames without encryption. The reader of a
// connection fills it, an inbox hands out its messages one by one, and when the
// last of these is released its memory is used again.
type chunk struct {
	buf  []byte
	off  int // where the first message that wasn't handed out begins
	msgs int // messages that were not handed out
	refs atomic.Int32
	pool *sync.Pool // where buf comes from, or nil

	sifted uint64 // how many cancellations of the socket's own it was filtered after
}

func newPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any {
		return &chunk{buf: make([]byte, 0, size)}
	}}
}

var (
	tinyChunks  = newPool(tinyChunk)
	smallChunks = newPool(smallChunk)
	largeChunks = newPool(largeChunk)
)

func pooledChunk(large bool) *chunk {
	pool := smallChunks
	if large {
		pool = largeChunks
	}
	c := pool.Get().(*chunk)
	c.pool = pool
	return c
}

// compacted gives c, of which nothing was handed out, or where it is short a copy that doesn't hold a buffer for many.
func (c *chunk) compacted() *chunk {
	var short *chunk
	switch {
	case c.pool == nil || len(c.buf) > compact:
		return c
	case len(c.buf) > tinyChunk:
		short = &chunk{buf: slices.Clone(c.buf)}
	default:
		short = tinyChunks.Get().(*chunk)
		short.pool = tinyChunks
		short.buf = append(short.buf, c.buf...)
	}
	short.sifted = c.sifted
	short.seal(c.msgs)
	c.free()
	return short
}

// release tells that n of c's messages are no longer used.
func (c *chunk) release(n int) {
	if c.refs.Add(int32(-n)) == 0 {
		c.free()
	}
}

// free gives c's memory back. Nobody may refer to it any more.
func (c *chunk) free() {
	if c.pool != nil {
		c.buf, c.off, c.msgs = c.buf[:0], 0, 0
		c.pool.Put(c)
	}
}

// seal makes c of n messages ready to be handed out.
func (c *chunk) seal(n int) {
	c.off, c.msgs = 0, n
	c.refs.Store(int32(n))
}

// cut takes the next frame off b, which begins with a whole one.
func cut(b []byte) (f zmtp.Flags, body, rest []byte) {
	f = zmtp.Flags(b[0])
	if f&zmtp.FlagLong == 0 {
		end := 2 + int(b[1])
		return f, b[2:end:end], b[end:]
	}
	end := zmtp.MaxHeader + int(binary.BigEndian.Uint64(b[1:]))
	return f, b[zmtp.MaxHeader:end:end], b[end:]
}

// cutMessage takes the next message off b and appends its parts to parts.
func cutMessage(b []byte, parts [][]byte) (_ [][]byte, rest []byte) {
	for {
		f, body, after := cut(b)
		parts = append(parts, body)
		if b = after; f&zmtp.FlagMore == 0 {
			return parts, b
		}
	}
}

// frameSize gives the length of a frame with a body of n bytes.
func frameSize(n int) int {
	if n <= 255 {
		return 2 + n
	}
	return zmtp.MaxHeader + n
}

// A Message is a received message that was borrowed: its parts lie in the buffer that they were read into.
type Message struct {
	// Parts are the message's, one or more. They are valid until Release, and the borrower may overwrite them.
	Parts [][]byte

	peer  *peer
	chunk *chunk
	last  bool      // of the chunk
	few   [4][]byte // most messages have no more parts
}

var messages = sync.Pool{New: func() any { return new(Message) }}

// Peer describes the peer that the message came from.
func (m *Message) Peer() PeerInfo { return m.peer.info() }

// Release gives the message's memory back. Neither m nor its parts may be used afterwards.
// It must be called once.
func (m *Message) Release() {
	c := m.chunk
	m.Parts, m.peer, m.chunk = nil, nil, nil
	clear(m.few[:])
	messages.Put(m)
	c.release(1)
}

// keep copies the message into memory of its own and releases it. Where the chunk holds no
// other message, and isn't used again, nothing is copied.
func (m *Message) keep() [][]byte {
	var parts [][]byte
	if m.last && m.chunk.pool == nil && m.chunk.refs.Load() == 1 {
		parts = slices.Clone(m.Parts)
		if m.peer.s.inbox.addressed {
			parts[0] = slices.Clone(parts[0])
		}
	} else {
		parts = cloneParts(m.Parts)
	}
	m.Release()
	return parts
}

// cloneParts copies parts, with one allocation for all bytes.
func cloneParts(parts [][]byte) [][]byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	clones := make([][]byte, len(parts))
	appendParts(clones, make([]byte, 0, size), parts)
	return clones
}

// appendParts copies parts to buf, which has room for them, and sets clones to the copies. It gives the longer buf.
func appendParts(clones [][]byte, buf []byte, parts [][]byte) []byte {
	for i, p := range parts {
		begin := len(buf)
		buf = append(buf, p...)
		clones[i] = buf[begin:len(buf):len(buf)]
	}
	return buf
}

// each gives f the parts of each message of c, which nobody else has, and then frees c. They are valid until f
// returns, but for what keepParts gives of them.
func (c *chunk) each(f func(parts [][]byte)) {
	m := messages.Get().(*Message)
	for rest := c.buf; len(rest) > 0; {
		m.Parts, rest = cutMessage(rest, m.few[:0])
		f(m.Parts)
	}
	m.Parts = nil
	clear(m.few[:])
	messages.Put(m)
	c.free()
}

// keepParts gives parts of a message of c in memory of its own. A message that has c to itself is not copied.
func (c *chunk) keepParts(parts [][]byte) [][]byte {
	if c.msgs == 1 && c.pool == nil {
		return slices.Clone(parts)
	}
	return cloneParts(parts)
}

const (
	// slabSize and slabParts are how much small messages that are copied together share.
	slabSize  = 1 << 10
	slabParts = 16
)

// A slab is memory for copies of small messages, which share it: two allocations serve many, and whoever keeps
// one of them holds no more than that. The zero value is empty.
type slab struct {
	parts [][]byte
	bytes []byte
}

// clone is cloneParts. left bounds the length of what is yet to be cloned, with this.
func (s *slab) clone(parts [][]byte, left int) [][]byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > slabSize/4 || len(parts) > slabParts/4 {
		return cloneParts(parts)
	}
	if len(parts) > len(s.parts) || size > cap(s.bytes)-len(s.bytes) {
		s.parts, s.bytes = make([][]byte, slabParts), make([]byte, 0, min(left, slabSize))
	}
	clones := s.parts[:len(parts):len(parts)]
	s.parts = s.parts[len(parts):]
	s.bytes = appendParts(clones, s.bytes, parts)
	return clones
}
