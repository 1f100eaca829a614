package tincan

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readOne reads one message into memory of its size.
func (c *messageConn) readOne(ctx context.Context, b *Batch) error {
	size, err := c.NextSize(ctx)
	if err != nil {
		return err
	}
	buf := b.room(max(size, 1)) // the end has length 0 too
	n, err := c.ReadMessage(ctx, buf)
	if err != nil {
		return err
	}
	b.msgs = append(b.msgs, buf[:n])
	return nil
}

// NextSize is for the function [NextSize]. An error of the socket's that was pending is told, and thereby used up.
func (c *messageConn) NextSize(ctx context.Context) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if err := c.in.guard.enter(ctx); err != nil {
		return 0, c.opError("read", err)
	}
	held, err := c.held()
	if held {
		b := c.in.call.batch
		return len(b.rest.msgs[b.given]), nil
	}
	var (
		n     uintptr
		errno syscall.Errno
	)
	if err == nil {
		err = c.raw.Read(func(fd uintptr) bool {
			for {
				n, _, errno = syscall.Syscall6(unix.SYS_RECVFROM, fd, 0, 0, unix.MSG_PEEK|unix.MSG_TRUNC, 0, 0)
				if errno != unix.EINTR {
					return errno != unix.EAGAIN
				}
			}
		})
	}
	switch {
	case err != nil:
		return 0, c.opError("read", explain(ctx, err))
	case errno != 0:
		return 0, c.opError("read", os.NewSyscallError("recv", errno))
	}
	return int(n), nil
}

// sendCall is what sendmmsg(2) sends: several datagrams, and runs of datagrams
// of one length as one that the kernel, or the network card, cuts (udp(7), UDP_SEGMENT).
type sendCall struct {
	headers  [sendHeaders]mmsghdr
	iovs     [sendMessages]unix.Iovec
	controls [sendHeaders][sendControl]byte
	counts   [sendHeaders]int // messages in each
	queued   int
	sent     int
	errno    syscall.Errno
	park     bool // wait where the socket's queue is full
	try      func(fd uintptr) bool
}

const (
	sendHeaders  = 64
	sendMessages = 256
	sendBytes    = 256 << 10 // from which a call takes no more, see sendmmsg
	segmentSpace = (unix.SizeofCmsghdr + 2 + 7) &^ 7
	sendControl  = pktinfoSpace + segmentSpace
	// Bounds of a run, of the kernel: UDP_MAX_SEGMENTS, and an IP packet with its headers.
	maxSegments = 64
	maxRun      = 65000
)

var sendPool = sync.Pool{New: func() any {
	s := &sendCall{}
	s.try = s.trySend
	return s
}}

// fill queues as many of msgs as fit, to name where that isn't empty.
func (s *sendCall) fill(msgs [][]byte, name, control []byte, runs bool) {
	s.queued, s.sent, s.errno = 0, 0, 0
	for taken, size := 0, 0; taken < min(len(msgs), sendMessages) && s.queued < sendHeaders && size < sendBytes; {
		run := 1
		if runs {
			run = runLength(msgs[taken:min(len(msgs), sendMessages)])
		}
		iovs := s.iovs[taken : taken+run]
		for i := range iovs {
			m := msgs[taken+i]
			iovs[i].Base = unsafe.SliceData(m)
			iovs[i].SetLen(len(m))
			size += len(m)
		}
		h := &s.headers[s.queued].hdr
		*h = unix.Msghdr{Iov: &iovs[0]}
		h.SetIovlen(run)
		if len(name) > 0 {
			h.Name, h.Namelen = &name[0], uint32(len(name))
		}
		oob := append(s.controls[s.queued][:0], control...)
		if run > 1 {
			oob = appendSegment(oob, len(msgs[taken]))
		}
		if len(oob) > 0 {
			h.Control = &oob[0]
			h.SetControllen(len(oob))
		}
		s.counts[s.queued] = run
		s.queued++
		taken += run
	}
}

// runLength gives how many of msgs, from the first, can go as one: all are as long as the first, but that the
// last may be shorter.
func runLength(msgs [][]byte) int {
	size, total := len(msgs[0]), len(msgs[0])
	if size == 0 {
		return 1
	}
	n := 1
	for ; n < len(msgs) && n < maxSegments; n++ {
		next := len(msgs[n])
		if next == 0 || next > size || total+next > maxRun {
			break
		}
		total += next
		if next < size {
			return n + 1
		}
	}
	return n
}

// appendSegment appends the control message that has a run cut into pieces of size.
func appendSegment(oob []byte, size int) []byte {
	start := len(oob)
	oob = append(oob, make([]byte, segmentSpace)...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[start]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[start+unix.CmsgLen(0):], uint16(size))
	return oob
}

func (s *sendCall) trySend(fd uintptr) bool {
	for s.sent < s.queued {
		n, errno := sendmmsg(fd, s.headers[s.sent:s.queued])
		if s.errno = errno; errno != 0 {
			return errno != unix.EAGAIN || !s.park
		}
		s.sent += n
	}
	return true
}

// messagesSent counts the messages of what was sent.
func (s *sendCall) messagesSent() (n int) {
	for _, c := range s.counts[:s.sent] {
		n += c
	}
	return n
}

func (s *sendCall) free() {
	clear(s.iovs[:]) // what they point to is the caller's
	for i := range s.headers {
		s.headers[i].hdr = unix.Msghdr{}
	}
	sendPool.Put(s)
}

// sendAll sends msgs over raw, and gives how many it sent. noRuns is set when the system refuses to
// take several as one. park says to wait where the socket's queue is full.
func sendAll(raw syscall.RawConn, msgs [][]byte, name, control []byte, noRuns *atomic.Bool, park bool) (n int, err error) {
	s := sendPool.Get().(*sendCall)
	defer s.free()
	s.park = park
	for n < len(msgs) {
		s.fill(msgs[n:], name, control, !noRuns.Load())
		err := raw.Write(s.try)
		n += s.messagesSent()
		switch {
		case err != nil:
			return n, err
		case s.sent == s.queued:
		case s.counts[s.sent] > 1 && refusesRuns(s.errno):
			noRuns.Store(true) // the kernel can't, or the device, or a piece is longer than the path takes
		default:
			return n, os.NewSyscallError("sendmmsg", s.errno)
		}
	}
	return n, nil
}

// refusesRuns reports an error that a run may bring about where its datagrams alone would pass.
func refusesRuns(errno syscall.Errno) bool {
	return errno == unix.EINVAL || errno == unix.EMSGSIZE || errno == unix.EIO || errno == unix.EOPNOTSUPP
}

// writeBatch sends the datagrams in as few system calls, and as few packets, as the kernel allows.
func (c *messageConn) writeBatch(ctx context.Context, msgs [][]byte) (n int, err error) {
	if !c.isUDP() {
		return c.writeEach(ctx, msgs)
	}
	short := shorter(msgs, c.limit)
	if err := c.writeShort(ctx, msgs[:short], &n); err != nil || n == len(msgs) {
		return n, err
	}
	return n, c.WriteMessage(ctx, msgs[n]) // which tells what is wrong with it
}

func (c *messageConn) writeShort(ctx context.Context, msgs [][]byte, n *int) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if err := c.out.guard.enter(ctx); err != nil {
		return c.opError("write", err)
	}
	for pause := minFullPause; ; pause = min(2*pause, maxFullPause) {
		sent, err := sendAll(c.raw, msgs[*n:], nil, nil, &c.noRuns, true)
		*n += sent
		if err == nil {
			return nil
		}
		if !isFull(err) {
			return c.opError("write", explain(ctx, err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return c.opError("write", ctxError(ctx))
		}
	}
}

func (c *messageConn) writeEach(ctx context.Context, msgs [][]byte) (n int, err error) {
	for _, m := range msgs {
		if err := c.WriteMessage(ctx, m); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// sendBatch sends msgs along route, at once or failing with an error that isFull knows.
func (s *batchSocket) sendBatch(route []byte, msgs [][]byte, noRuns *atomic.Bool) (n int, err error) {
	name, control := splitRoute(route)
	n, err = sendAll(s.raw, msgs, name, control, noRuns, false)
	var errno syscall.Errno
	if len(control) > 0 && errors.As(err, &errno) && foreignSource(errno) {
		var more int
		more, err = sendAll(s.raw, msgs[n:], name, nil, noRuns, false)
		n += more
	}
	return n, err
}
