package zmtp

import (
	"encoding/binary"
	"sync"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// Flags within the box of MESSAGE, as libzmq sets them: the RFC has the first alone.
const (
	boxedMore    = 1
	boxedCommand = 2
)

// messageName is how the body of MESSAGE begins; the nonce and the box follow.
const messageName = "\x07MESSAGE"

// curveOverhead is how much longer MESSAGE is than what it carries: name, nonce, box and flags.
const curveOverhead = len(messageName) + shortNonce + secretbox.Overhead + 1

// maxPooled is the largest buffer that is kept for the next message.
const maxPooled = 64 << 10

// plaintexts are buffers for what is about to be sealed, or was just opened. They are
// shared because idle connections by the thousand must not keep one each.
var plaintexts = sync.Pool{New: func() any { return new([]byte) }}

// A curveBox seals and opens the frames of a connection with CURVE, once its handshake is done.
type curveBox struct {
	key          [32]byte // shared by both ends, of this connection alone
	sendNonce    [24]byte // its last 8 bytes count
	sent         uint64
	receiveNonce [24]byte
	received     uint64
	_            [0]func() // not comparable, as what holds a secret should not be
}

func newCurveBox(peer, secret *[32]byte, sendPrefix string, sent uint64, receivePrefix string, received uint64) *curveBox {
	c := &curveBox{sent: sent, received: received}
	box.Precompute(&c.key, peer, secret)
	copy(c.sendNonce[:], sendPrefix)
	copy(c.receiveNonce[:], receivePrefix)
	return c
}

// seal appends the frame of a MESSAGE. Its flags are 0, as libzmq's are: the flags of what it carries are in the box.
func (c *curveBox) seal(dst []byte, f Flags, body []byte) []byte {
	c.sent++
	binary.BigEndian.PutUint64(c.sendNonce[16:], c.sent)
	dst = AppendHeader(dst, 0, curveOverhead+len(body))
	dst = append(dst, messageName...)
	dst = append(dst, c.sendNonce[16:]...)

	buffer := plaintexts.Get().(*[]byte)
	plain := append((*buffer)[:0], boxedFlags(f))
	plain = append(plain, body...)
	dst = secretbox.Seal(dst, plain, &c.sendNonce, &c.key)
	recycle(buffer, plain)
	return dst
}

// open decrypts the body of a MESSAGE into itself.
func (c *curveBox) open(body []byte) (Flags, []byte, error) {
	if len(body) < curveOverhead || string(body[:len(messageName)]) != messageName {
		return 0, nil, curveError("a frame is not a MESSAGE, or is cut")
	}
	counter := binary.BigEndian.Uint64(body[len(messageName):])
	if counter <= c.received {
		return 0, nil, curveError("the nonce of MESSAGE is not above the one before")
	}
	binary.BigEndian.PutUint64(c.receiveNonce[16:], counter)

	buffer := plaintexts.Get().(*[]byte)
	plain, ok := secretbox.Open((*buffer)[:0], body[len(messageName)+shortNonce:], &c.receiveNonce, &c.key)
	if !ok {
		plaintexts.Put(buffer)
		return 0, nil, curveError("the box of MESSAGE does not open")
	}
	c.received = counter // only now: a forged message must not move it
	f, ok := unboxedFlags(plain[0])
	n := copy(body, plain[1:])
	recycle(buffer, plain)
	if !ok {
		return 0, nil, curveError("reserved flag set in the box of MESSAGE")
	}
	return f, body[:n:n], nil
}

func curveError(detail string) error { return &ProtocolError{Rule: ruleCurve, Detail: detail} }

func boxedFlags(f Flags) (b byte) {
	if f&FlagMore != 0 {
		b |= boxedMore
	}
	if f&FlagCommand != 0 {
		b |= boxedCommand
	}
	return b
}

func unboxedFlags(b byte) (f Flags, ok bool) {
	if b&boxedMore != 0 {
		f |= FlagMore
	}
	if b&boxedCommand != 0 {
		f |= FlagCommand
	}
	return f, b <= boxedMore|boxedCommand && f != FlagMore|FlagCommand
}

// recycle keeps a buffer, without what was in it.
func recycle(buffer *[]byte, used []byte) {
	if cap(used) > maxPooled {
		return
	}
	clear(used)
	*buffer = used[:0]
	plaintexts.Put(buffer)
}
