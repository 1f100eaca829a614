package tincan

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetCall is what a systemCall needs to tell an empty message from the end: both have length 0.
//
// A message comes with its sender's address, and the end with none. So a
// socket that is dialled gets a name (nameSocket), and one that is accepted has its listener's. Where
// the peer has no name, as it isn't of this package, SO_PASSCRED makes each message
// come with its sender's credentials. It counts when a message is read, so it
// holds for those sent before too. It costs more, as only recvmsg(2) tells. See unix(7).
type packetCall struct {
	end     bool // a length of 0 is the end
	addr    uint16
	addrLen uint32
	hdr     unix.Msghdr
	iov     unix.Iovec
}

// nameSocket gives a socket that is to be dialled a name in the abstract namespace. A failure does no harm.
func nameSocket(fd int) error {
	_, _ = bindAny(fd)
	return nil
}

func (c *messageConn) preparePackets() error {
	if peer, ok := c.RemoteAddr().(*net.UnixAddr); ok && len(peer.Name) > len("@") {
		c.in.call.try = c.tryReceiveNamed
		return nil
	}
	c.in.call.try = c.tryReceiveUnnamed
	return control(c.raw, func(fd int) error { return setInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
}

func (c *messageConn) tryReceiveNamed(fd uintptr) bool {
	call := &c.in.call
	p := &call.packet
	for {
		p.addrLen = uint32(unsafe.Sizeof(p.addr)) // of the address its length is enough
		n, _, errno := syscall.Syscall6(unix.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(call.buf))), uintptr(len(call.buf)), unix.MSG_TRUNC,
			uintptr(unsafe.Pointer(&p.addr)), uintptr(unsafe.Pointer(&p.addrLen)))
		p.end = p.addrLen == 0
		if call.finish(n, errno) {
			return errno != unix.EAGAIN
		}
	}
}

func (c *messageConn) tryReceiveUnnamed(fd uintptr) bool {
	call := &c.in.call
	p := &call.packet
	for {
		p.iov.Base = unsafe.SliceData(call.buf)
		p.iov.SetLen(len(call.buf))
		p.hdr = unix.Msghdr{Iov: &p.iov}
		p.hdr.SetIovlen(1)
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&p.hdr)), unix.MSG_TRUNC)
		p.iov.Base = nil
		p.end = p.hdr.Flags&unix.MSG_CTRUNC == 0 // no credentials that there was no room for
		if call.finish(n, errno) {
			return errno != unix.EAGAIN
		}
	}
}
