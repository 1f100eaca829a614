package tincan

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// systemCall is what one direction of a messageConn hands to the kernel. The
// function is bound once, so that a call allocates nothing.
type systemCall struct {
	try func(fd uintptr) (done bool)

	buf    []byte
	n      int
	errno  syscall.Errno
	packet packetCall
	batch  *batchCall // nil until the first ReadBatch
}

func (c *messageConn) prepare() error {
	c.out.call.try = c.trySend
	if c.kind == packets {
		return c.preparePackets()
	}
	c.in.call.try = c.tryReceive
	return nil
}

// receive gives the length of the next message, which is more than buf's where it was cut.
func (c *messageConn) receive(buf []byte) (int, error) {
	call := &c.in.call
	if call.batch != nil && call.batch.joins {
		return c.receiveJoined(buf)
	}
	call.buf = buf
	err := c.raw.Read(call.try)
	call.buf = nil
	switch {
	case err != nil:
		return 0, err
	case call.errno != 0:
		return 0, os.NewSyscallError("recv", call.errno)
	case c.kind == packets && call.n == 0 && call.packet.end:
		return 0, io.EOF
	}
	return call.n, nil
}

func (c *messageConn) send(msg []byte) error {
	call := &c.out.call
	call.buf = msg
	err := c.raw.Write(call.try)
	call.buf = nil
	if err == nil && call.errno != 0 {
		err = os.NewSyscallError("send", call.errno)
	}
	return err
}

// tryReceive reads a datagram. recvfrom(2) takes less time than recvmsg(2),
// and with MSG_TRUNC tells the datagram's own length.
func (c *messageConn) tryReceive(fd uintptr) bool {
	call := &c.in.call
	for {
		n, _, errno := syscall.Syscall6(unix.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(call.buf))), uintptr(len(call.buf)), unix.MSG_TRUNC, 0, 0)
		if call.finish(n, errno) {
			return errno != unix.EAGAIN
		}
	}
}

func (c *messageConn) trySend(fd uintptr) bool {
	call := &c.out.call
	for {
		n, _, errno := syscall.Syscall6(unix.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(call.buf))), uintptr(len(call.buf)), unix.MSG_NOSIGNAL, 0, 0)
		if call.finish(n, errno) {
			return errno != unix.EAGAIN
		}
	}
}

// finish notes how a system call ended; it gives false where a signal interrupted it.
func (c *systemCall) finish(n uintptr, errno syscall.Errno) bool {
	c.n, c.errno = int(n), errno
	return errno != unix.EINTR
}

func isTooLong(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

// isFull reports a queue that is full where the system doesn't tell when there is room.
func isFull(err error) bool { return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) }
