package tincan

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How many datagrams pass in one system call. A slot for each must hold the
// longest; of a slot that held little but a page is in memory.
const (
	answerBatch = 64
	flowBatch   = 16
	unixBatch   = 8
)

// batchSocket is the packetSocket of Linux: recvmmsg(2) and sendmmsg(2). A
// route is the peer's struct sockaddr followed by the control message that makes
// the reply leave from the right address, if there is one.
type batchSocket struct {
	socket
	raw         syscall.RawConn
	slot        int
	withControl bool // datagrams come with the address that they were sent to
	joins       bool // the kernel may hand over several datagrams as one
	udp         bool // else a Unix socket

	in  *batch // made by the one reader
	out batchOut

	mu    sync.Mutex // guards what follows: the parts of a single message to be sent
	hdr   unix.Msghdr
	iov   unix.Iovec
	err   syscall.Errno
	send1 func(fd uintptr) bool
}

func newBatchSocket(s socket, slot int, udp bool) (*batchSocket, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := &batchSocket{socket: s, raw: raw, slot: slot, udp: udp}
	b.send1 = b.trySend
	b.out.try = b.tryFlush
	return b, nil
}

// batch is an array of messages to be received, and what each points to. All of
// it lives as long as the socket, and Go doesn't move it.
type batch struct {
	headers  []mmsghdr
	iovs     []unix.Iovec
	names    []byte
	controls []byte
	payloads []byte
	slot     int
	oobSize  int      // bytes of controls for each message
	route    []byte   // scratch
	msgs     [][]byte // scratch
	try      func(fd uintptr) bool
	n        int
	errno    syscall.Errno

	current  int // the message that datagram is
	datagram Datagram
}

// batchOut is the same for the replies, which point into the batch received.
type batchOut struct {
	headers []mmsghdr
	iovs    []unix.Iovec
	try     func(fd uintptr) bool
	sent    int
	queued  int
	n       int
	errno   syscall.Errno
}

func (s *batchSocket) newBatch(size int) *batch {
	b := &batch{
		headers:  make([]mmsghdr, size),
		iovs:     make([]unix.Iovec, size),
		names:    make([]byte, size*unix.SizeofSockaddrAny),
		payloads: make([]byte, size*s.slot),
		slot:     s.slot,
		route:    make([]byte, 0, unix.SizeofSockaddrAny+pktinfoSpace),
		n:        size,
	}
	if s.withControl {
		b.oobSize += pktinfoSpace
	}
	if s.joins {
		b.oobSize += joinedSpace
	}
	b.controls = make([]byte, size*b.oobSize)
	for i := range b.headers {
		h := &b.headers[i].hdr
		h.Name = &b.names[i*unix.SizeofSockaddrAny]
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		if b.oobSize > 0 {
			h.Control = &b.controls[i*b.oobSize]
		}
		b.iovs[i].Base = &b.payloads[i*s.slot]
		b.iovs[i].SetLen(s.slot)
	}
	b.try = func(fd uintptr) bool {
		b.n, b.errno = recvmmsg(fd, b.headers, unix.MSG_TRUNC)
		return b.errno != unix.EAGAIN
	}
	b.datagram.from = func() net.Addr { return s.remote(b.name(b.current)) }
	return b
}

// fill waits for datagrams, of which b.n are there then.
func (s *batchSocket) fill(b *batch) error {
	for i := range b.n { // the kernel has written over these
		h := &b.headers[i].hdr
		h.Namelen = unix.SizeofSockaddrAny
		h.Flags = 0
		h.SetControllen(b.oobSize)
	}
	err := s.raw.Read(b.try)
	if err == nil && b.errno != 0 {
		err = os.NewSyscallError("recvmmsg", b.errno)
	}
	return err
}

func (b *batch) name(i int) []byte {
	start := i * unix.SizeofSockaddrAny
	return b.names[start : start+int(min(b.headers[i].hdr.Namelen, unix.SizeofSockaddrAny))]
}

// oob gives the control messages that came with message i.
func (b *batch) oob(i int) []byte {
	start := i * b.oobSize
	return b.controls[start : start+min(int(b.headers[i].hdr.Controllen), b.oobSize)]
}

func (b *batch) routeOf(i int) []byte {
	b.route = append(append(b.route[:0], b.name(i)...), replyControl(b.oob(i))...)
	return b.route
}

func (b *batch) sameRoute(i, k int) bool {
	return bytes.Equal(b.name(i), b.name(k)) && bytes.Equal(replyControl(b.oob(i)), replyControl(b.oob(k)))
}

// payload gives message i in its slot. cut tells that it was longer.
func (b *batch) payload(i int) (payload []byte, cut bool) {
	start := i * b.slot
	return b.payloads[start : start+min(int(b.headers[i].len), b.slot) : start+b.slot], b.headers[i].hdr.Flags&unix.MSG_TRUNC != 0
}

func (s *batchSocket) batchSize(size int) int {
	if s.udp {
		return size
	}
	return unixBatch
}

func (s *batchSocket) receive(deliver func(route []byte, msgs [][]byte, cut bool)) error {
	if s.in == nil || len(s.in.headers) != s.batchSize(flowBatch) {
		s.joins = s.udp && joinDatagrams(s.raw) // ServeDatagrams, which takes each for one, comes no more
		s.in = s.newBatch(s.batchSize(flowBatch))
	}
	b := s.in
	if err := s.fill(b); err != nil {
		return err
	}
	for i := 0; i < b.n; {
		next, cut := b.collect(i)
		deliver(b.routeOf(i), b.msgs, cut)
		i = next
	}
	return nil
}

// collect makes b.msgs of message i and those behind it that came along the same route, up to next. One that was cut is alone.
func (b *batch) collect(i int) (next int, cut bool) {
	b.msgs = b.msgs[:0]
	for next = i; next < b.n && b.sameRoute(i, next); next++ {
		payload, cut := b.payload(next)
		switch {
		case !cut:
			b.msgs = appendJoined(b.msgs, payload, joinedSize(b.oob(next)))
		case next == i:
			b.msgs = append(b.msgs, payload)
			return i + 1, true
		default:
			return next, false
		}
	}
	return next, false
}

func (s *batchSocket) answer(h *datagramHandler) error {
	if s.in == nil || len(s.in.headers) != s.batchSize(answerBatch) {
		s.in = s.newBatch(s.batchSize(answerBatch))
		s.out.headers = make([]mmsghdr, len(s.in.headers))
		s.out.iovs = make([]unix.Iovec, len(s.in.headers))
	}
	b := s.in
	if err := s.fill(b); err != nil {
		return err
	}
	s.out.queued = 0
	for i := range b.n {
		payload, cut := b.payload(i)
		if h.admit != nil && !h.admit(b.name(i)) {
			continue
		}
		if cut {
			h.lost(b.name(i), int(b.headers[i].len))
			continue
		}
		b.current, b.datagram.Payload = i, payload
		if reply := h.answer(&b.datagram); reply != nil {
			s.queue(b, i, reply)
		}
	}
	return s.flush()
}

// queue puts the reply to message i into the batch to be sent. A reply
// that isn't a part of the payload is copied to it, as the caller may use it again for the next.
func (s *batchSocket) queue(b *batch, i int, reply []byte) {
	name := b.name(i)
	if !named(name) {
		return
	}
	slot := b.payloads[i*b.slot : (i+1)*b.slot]
	offset := uintptr(unsafe.Pointer(unsafe.SliceData(reply))) - uintptr(unsafe.Pointer(&slot[0]))
	if len(reply) == 0 || offset >= uintptr(b.slot) {
		if len(reply) > copy(slot, reply) {
			return // longer than any datagram
		}
		offset = 0
	}
	o := &s.out
	iov := &o.iovs[o.queued]
	iov.Base = &slot[offset]
	iov.SetLen(len(reply))
	h := &o.headers[o.queued].hdr
	h.Name, h.Namelen = &name[0], uint32(len(name))
	h.Iov = iov
	h.SetIovlen(1)
	h.Control = nil
	control := replyControl(b.oob(i))
	if len(control) > 0 {
		h.Control = &control[0]
	}
	h.SetControllen(len(control))
	o.queued++
}

// flush sends the replies. One that can't be sent is dropped.
func (s *batchSocket) flush() error {
	o := &s.out
	for o.sent = 0; o.sent < o.queued; {
		if err := s.raw.Write(o.try); err != nil {
			return err
		}
		first := &o.headers[o.sent].hdr
		switch {
		case o.errno == 0:
			o.sent += o.n
		case first.Controllen > 0 && foreignSource(o.errno):
			first.SetControllen(0)
		default:
			o.sent++
		}
	}
	return nil
}

func (s *batchSocket) tryFlush(fd uintptr) bool {
	o := &s.out
	o.n, o.errno = sendmmsg(fd, o.headers[o.sent:o.queued])
	// What is full is our own queue with UDP, and the kernel tells when
	// there is room; with a Unix socket it is the peer's, and it doesn't.
	return o.errno != unix.EAGAIN || !s.udp
}

// foreignSource reports an address that a reply can't leave from, such as one to which the subnet broadcasts.
func foreignSource(errno syscall.Errno) bool {
	return errno == unix.EINVAL || errno == unix.EADDRNOTAVAIL || errno == unix.ENETUNREACH
}

func (s *batchSocket) send(route, msg []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, control := splitRoute(route)
	s.hdr = unix.Msghdr{Name: &name[0], Namelen: uint32(len(name)), Iov: &s.iov}
	s.hdr.SetIovlen(1)
	if len(control) > 0 {
		s.hdr.Control = &control[0]
		s.hdr.SetControllen(len(control))
	}
	s.iov.Base = unsafe.SliceData(msg)
	s.iov.SetLen(len(msg))
	err := s.raw.Write(s.send1)
	if err == nil && s.err != 0 && s.hdr.Controllen > 0 && foreignSource(s.err) {
		s.hdr.SetControllen(0)
		err = s.raw.Write(s.send1)
	}
	s.hdr, s.iov.Base = unix.Msghdr{}, nil
	if err == nil && s.err != 0 {
		err = os.NewSyscallError("sendmsg", s.err)
	}
	return err
}

// trySend never has the kernel wait, see flow.WriteMessage.
func (s *batchSocket) trySend(fd uintptr) bool {
	for {
		_, _, s.err = syscall.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&s.hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if s.err != unix.EINTR {
			return true
		}
	}
}

// splitRoute parts the socket address from the control message behind it.
func splitRoute(route []byte) (name, control []byte) {
	n := len(route)
	switch addrFamily(route) {
	case unix.AF_INET:
		n = unix.SizeofSockaddrInet4
	case unix.AF_INET6:
		n = unix.SizeofSockaddrInet6
	}
	return route[:n], route[n:]
}

// named tells a peer that can be answered from a Unix socket that isn't bound.
func named(name []byte) bool { return len(name) > 2 }

func (s *batchSocket) remote(route []byte) net.Addr {
	name, _ := splitRoute(route)
	if !s.udp {
		return unixAddr(name)
	}
	return udpAddr(rawAddrPort(name))
}

func (s *batchSocket) local(route []byte) net.Addr {
	_, control := splitRoute(route)
	bound := s.LocalAddr()
	if u, ok := bound.(*net.UDPAddr); ok && len(control) > 0 {
		addr, zone := controlAddr(control)
		return udpAddr(addr, zone, uint16(u.Port))
	}
	return bound
}

func (s *batchSocket) source(route []byte) netip.Addr {
	addr, _, _ := rawAddrPort(route)
	return addr
}

// unixAddr reads a struct sockaddr_un, nil for that of a socket without a name.
func unixAddr(name []byte) net.Addr {
	if !named(name) {
		return nil
	}
	path := name[2:]
	if path[0] == 0 { // abstract: every byte counts
		return &net.UnixAddr{Net: "unixgram", Name: "@" + string(path[1:])}
	}
	return &net.UnixAddr{Net: "unixgram", Name: unix.ByteSliceToString(path)}
}
