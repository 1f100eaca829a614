package tincan

import (
	"context"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// slots are what recvmmsg(2) fills: for each datagram as much as the longest
// takes, or those that the kernel joins. Of a slot that held little but a page is in memory.
type slots struct {
	headers  [slotCount]mmsghdr
	iovs     [slotCount]unix.Iovec
	controls [slotCount][joinedSpace]byte
	data     []byte
	n        int // that were filled
	errno    syscall.Errno
}

const slotCount = 16

var slotPool = sync.Pool{New: func() any {
	s := &slots{data: make([]byte, slotCount*udpSlot), n: slotCount}
	for i := range s.headers {
		s.iovs[i].Base = &s.data[i*udpSlot]
		s.iovs[i].SetLen(udpSlot)
		h := &s.headers[i].hdr
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
		h.Control = &s.controls[i][0]
	}
	return s
}}

func (s *slots) free() { slotPool.Put(s) }

// receive fills the slots with what is there.
func (s *slots) receive(fd uintptr) {
	for i := range s.n { // the kernel has written over these
		s.headers[i].hdr.SetControllen(joinedSpace)
	}
	s.n, s.errno = recvmmsg(fd, s.headers[:], 0)
}

// appendTo appends the datagrams in the slots.
func (s *slots) appendTo(msgs [][]byte) [][]byte {
	for i := range s.n {
		data := s.data[i*udpSlot:]
		msgs = appendJoined(msgs, data[:s.headers[i].len], joinedSize(s.controls[i][:s.headers[i].hdr.Controllen]))
	}
	return msgs
}

// batchCall reads several datagrams at once. The first ReadBatch makes it, and from then on the kernel may join
// datagrams, so that ReadMessage too may find more than it was asked for.
type batchCall struct {
	try   func(fd uintptr) bool
	slots *slots // between try and its caller
	joins bool
	rest  Batch // what ReadMessage has yet to give
	given int   // messages of rest that it gave
}

// batchCall gives that of c, for whoever holds c.in.
func (c *messageConn) batchCall() *batchCall {
	call := &c.in.call
	if call.batch == nil {
		call.batch = &batchCall{joins: joinDatagrams(c.raw)}
		call.batch.try = call.batch.tryReceive
	}
	return call.batch
}

// tryReceive takes slots only when there is something to read.
func (b *batchCall) tryReceive(fd uintptr) bool {
	s := slotPool.Get().(*slots)
	if s.receive(fd); s.errno == unix.EAGAIN {
		s.free()
		return false
	}
	b.slots = s
	return true
}

// fill waits for datagrams and makes b of them.
func (c *messageConn) fill(b *Batch) error {
	call := c.batchCall()
	if err := c.raw.Read(call.try); err != nil {
		return err
	}
	s := call.slots
	call.slots = nil
	if s.errno != 0 {
		s.free()
		return os.NewSyscallError("recvmmsg", s.errno)
	}
	b.slots, b.msgs = s, s.appendTo(b.msgs)
	return nil
}

// held tells whether a message is there that was read along with an earlier one. The error is that of a closed socket.
func (c *messageConn) held() (bool, error) {
	b := c.in.call.batch
	if b == nil || b.given == len(b.rest.msgs) {
		return false, nil
	}
	err := c.raw.Control(func(uintptr) {})
	return err == nil, err
}

// receiveJoined is receive where the kernel may join datagrams.
func (c *messageConn) receiveJoined(buf []byte) (int, error) {
	b := c.batchCall()
	held, err := c.held()
	if err == nil && !held {
		b.rest.Release()
		b.given = 0
		err = c.fill(&b.rest)
	}
	if err != nil {
		return 0, err
	}
	msg := b.rest.msgs[b.given]
	copy(buf, msg)
	if b.given++; b.given == len(b.rest.msgs) {
		b.rest.Release()
		b.given = 0
	}
	return len(msg), nil
}

// readBatch reads the datagrams that wait, if c's are short enough for slots.
func (c *messageConn) readBatch(ctx context.Context, b *Batch) error {
	if !c.isUDP() {
		return c.readOne(ctx, b)
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if err := c.in.guard.enter(ctx); err != nil {
		return c.opError("read", err)
	}
	held, err := c.held()
	switch call := c.in.call.batch; {
	case err != nil:
	case held:
		b.msgs = append(b.msgs, call.rest.msgs[call.given:]...)
		b.slots, call.rest.slots = call.rest.slots, nil
		call.rest.Release()
		call.given = 0
	default:
		err = c.fill(b)
	}
	if err != nil {
		return c.opError("read", explain(ctx, err))
	}
	return nil
}
