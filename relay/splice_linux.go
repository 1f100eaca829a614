package relay

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/sys/unix"
)

const (
	// demoteAfter pieces in a row below smallPiece end a bulk phase.
	demoteAfter = 16
	smallPiece  = 8 << 10
)

// spliced counts the bytes that went through pipes.
var spliced atomic.Int64

// kernelPath is what a mover needs to work on the sockets themselves. Its functions are bound once, so that a call allocates nothing.
type kernelPath struct {
	src, dst syscall.RawConn // nil where it is no bare socket
	refused  bool            // the kernel can't splice these

	tryRead, tryWrite, tryFill, tryDrain func(fd uintptr) bool

	// What they work on, and give.
	buf  *[bufferSize]byte
	rest []byte // to be written
	p    *pipe
	n    int // read, or in the pipe
	err  error
}

// spliceCall is [splice], but in a test.
var spliceCall = splice

func (m *mover) prepare() {
	k := &m.kernel
	k.src, k.dst = rawSocket(m.src), rawSocket(m.dst)
	k.refused = m.pair.o.Tap != nil || k.src == nil || k.dst == nil
	k.tryRead, k.tryWrite, k.tryFill, k.tryDrain = m.tryRead, m.tryWrite, m.tryFill, m.tryDrain
}

// rawSocket gives the socket of c, where c is nothing but that.
func rawSocket(c net.Conn) syscall.RawConn {
	raw, err := tincan.SyscallConn(c)
	if err != nil || !isStreamSocket(raw) {
		return nil
	}
	return raw
}

// isStreamSocket reports whether raw is a stream socket that never makes a system call wait.
func isStreamSocket(raw syscall.RawConn) (ok bool) {
	err := raw.Control(func(fd uintptr) {
		kind, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_STREAM {
			return
		}
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		ok = err == nil && flags&unix.O_NONBLOCK != 0
	})
	return ok && err == nil
}

func (m *mover) readsLazily() bool { return m.kernel.src != nil }

// readLazily reads from src into a buffer that is taken only when there is something.
func (m *mover) readLazily() (*[bufferSize]byte, int, error) {
	k := &m.kernel
	err := k.src.Read(k.tryRead)
	if err == nil {
		err = os.NewSyscallError("read", k.err)
	}
	buf := k.buf
	k.buf = nil
	switch {
	case err != nil:
		return buf, 0, err
	case k.n == 0:
		return buf, 0, io.EOF
	}
	m.srcPassed(int64(k.n), 0)
	return buf, k.n, nil
}

func (m *mover) tryRead(fd uintptr) bool {
	k := &m.kernel
	k.buf = buffers.Get().(*[bufferSize]byte)
	for {
		k.n, k.err = call(unix.SYS_READ, fd, k.buf[:m.most])
		switch k.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			buffers.Put(k.buf)
			k.buf = nil
			return false
		}
		return true
	}
}

// write writes p to dst, and gives how much of it.
func (m *mover) write(p []byte) (int, error) {
	k := &m.kernel
	if k.dst == nil {
		return m.dst.Write(p)
	}
	k.rest = p
	err := k.dst.Write(k.tryWrite)
	if err == nil {
		err = os.NewSyscallError("write", k.err)
	}
	sent := len(p) - len(k.rest)
	k.rest = nil
	m.dstPassed(0, int64(sent))
	return sent, err
}

func (m *mover) tryWrite(fd uintptr) bool {
	k := &m.kernel
	for k.err = nil; len(k.rest) > 0; {
		n, err := call(unix.SYS_WRITE, fd, k.rest)
		k.rest = k.rest[n:]
		switch err {
		case nil, unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			k.err = err
			return true
		}
	}
	return true
}

// call is read(2) or write(2) on a socket that never makes it wait, of which the
// scheduler isn't told, as with splice: of a small round trip that is a tenth.
func call(number, fd uintptr, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (m *mover) canSplice() bool { return !m.kernel.refused }

// splice moves bulk through pipes, without copying it through the process. It
// gives nil when the flow is bulk no more, the kernel refuses, or there is no
// pipe left: then what comes next is to be copied.
func (m *mover) splice() error {
	k := &m.kernel
	for small := 0; small < demoteAfter; {
		if err := m.fill(); err != nil || k.p == nil {
			return err
		}
		if k.n < smallPiece {
			small++
		} else {
			small = 0
		}
		m.srcPassed(int64(k.n), 0)
		err := m.drain()
		pipes.put(k.p, k.n == 0)
		k.p = nil
		if err != nil || k.refused {
			return err
		}
	}
	return nil
}

// fill moves what src has into an empty pipe, which it leaves in k.p. That is nil where there is
// no pipe or the kernel refuses. The error is that of reading, io.EOF at the end.
func (m *mover) fill() error {
	k := &m.kernel
	err := k.src.Read(k.tryFill)
	switch {
	case err != nil:
	case k.err == io.EOF: // tryFill made it
		err = io.EOF
	default:
		err = os.NewSyscallError("splice", k.err)
	}
	return m.receiveError(err)
}

func (m *mover) tryFill(fd uintptr) bool {
	k := &m.kernel
	p := pipes.get()
	if k.err = nil; p == nil {
		return true
	}
	k.n, k.err = spliceCall(int(fd), p.w, m.pair.limit(p.size))
	if k.n > 0 {
		k.p = p
		return true
	}
	pipes.put(p, true)
	switch {
	case k.err == unix.EAGAIN: // the pipe is empty, so it is src that has nothing
		return false
	case k.err == nil:
		k.err = io.EOF
	case cannotSplice(k.err):
		k.err, k.refused = nil, true
	}
	return true
}

// drain moves what is in the pipe to dst. Where the kernel refuses to, it is copied.
func (m *mover) drain() error {
	k := &m.kernel
	m.pair.sending[m.d].Store(true)
	defer m.pair.sending[m.d].Store(false)
	if err := m.pair.admit(k.n); err != nil {
		return err
	}
	whole := k.n
	err := k.dst.Write(k.tryDrain)
	if err == nil {
		err = os.NewSyscallError("splice", k.err)
	}
	sent := whole - k.n
	m.pair.passed(m.d, sent)
	m.dstPassed(0, int64(sent))
	spliced.Add(int64(sent))
	if cannotSplice(k.err) {
		k.refused = true
		return m.empty()
	}
	return m.sendError(err)
}

func (m *mover) tryDrain(fd uintptr) bool {
	k := &m.kernel
	for k.err = nil; k.n > 0; {
		n, err := spliceCall(k.p.r, int(fd), k.n)
		if err != nil {
			k.err = err
			return err != unix.EAGAIN
		}
		k.n -= n
	}
	return true
}

// cannotSplice reports an error that tells of the kind of the sockets, or of the kernel, and not of a connection.
func cannotSplice(err error) bool {
	return err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP || err == unix.EPERM // from splice itself
}

// splice moves up to most bytes. It never sets SPLICE_F_MORE: dst would hold
// back the end of a message for 200 ms.
//
// The call never waits, so the scheduler is not told of it: it would give the
// processor to another thread meanwhile, which costs more than it gains.
func splice(from, to, most int) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// empty writes what is in the pipe to dst by hand.
func (m *mover) empty() error {
	k := &m.kernel
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for k.n > 0 {
		n, err := unix.Read(k.p.r, buf[:min(k.n, bufferSize)])
		if err != nil {
			return m.sendError(os.NewSyscallError("read", err))
		}
		k.n -= n
		sent, err := m.dst.Write(buf[:n])
		m.pair.passed(m.d, sent)
		if err != nil {
			return m.sendError(err)
		}
	}
	return nil
}

// abandoned reports whether nobody is at the other end of c's socket any more, neither
// to send nor to receive, and nothing is left to be read. It reads nothing.
func abandoned(c tincan.Conn) (gone bool) {
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}} // POLLHUP needs no asking for; see poll(2)
		if n, err := unix.Poll(fds, 0); err != nil || n == 0 || fds[0].Revents&unix.POLLHUP == 0 {
			return
		}
		queued, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		gone = err == nil && queued == 0
	})
	return gone
}

// wasReset reports whether the socket of c has no connection any more, though it may never have told so.
func wasReset(c tincan.Conn) (reset bool) {
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.State != unix.BPF_TCP_CLOSE {
			return // no TCP, or alive
		}
		// An error that is still to be told came behind an end that was one (SO_ERROR, socket(7)).
		pending, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		reset = err == nil && pending == 0
	})
	return reset
}
