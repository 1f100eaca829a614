package relay

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/sys/unix"
)

// demoteAfter small pieces in a row end a bulk phase.
const demoteAfter = 16

// spliced counts the bytes that went through pipes.
var spliced atomic.Int64

// kernelPath is what a mover needs to work on the sockets themselves. Its functions are bound once, so
// that a call allocates nothing, and those of splicing when it begins.
type kernelPath struct {
	src, dst syscall.RawConn // nil where it is no bare socket
	refused  bool            // the kernel can't splice these

	srcCounts, dstCounts counter // nil where nobody counts

	tryRead, tryWrite, tryFill, tryDrain func(fd uintptr) bool

	// What the latter two work on, and what all give.
	p   *pipe
	n   int // in the pipe
	err error
}

// A counter is a connection that counts what goes past its Read and Write, as a server's does, by splice(2) or by read(2) and write(2).
type counter interface {
	Passed(received, sent int64, spliced bool)
}

// spliceCall is [splice], but in a test.
var spliceCall = splice

// prepare finds the sockets of both directions.
func prepare(both *[2]mover) {
	first, second := rawSocket(both[Forward].src), rawSocket(both[Backward].src)
	for i := range both {
		m := &both[i]
		k := &m.kernel
		k.src, k.dst = first, second
		if m.d == Backward {
			k.src, k.dst = second, first
		}
		k.srcCounts, _ = m.src.(counter)
		k.dstCounts, _ = m.dst.(counter)
		k.refused = m.pair.o.Tap != nil || k.src == nil || k.dst == nil
		if k.src != nil {
			k.tryRead = m.tryRead
		}
		if k.dst != nil {
			k.tryWrite = m.tryWrite
		}
	}
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

// received and sent tell who counts.
func (m *mover) received(n int, spliced bool) {
	if c := m.kernel.srcCounts; c != nil {
		c.Passed(int64(n), 0, spliced)
	}
}

func (m *mover) sent(n int, spliced bool) {
	if c := m.kernel.dstCounts; c != nil {
		c.Passed(0, int64(n), spliced)
	}
}

// readLazily reads from src into a buffer that is taken only when there is something.
func (m *mover) readLazily() error {
	k := &m.kernel
	err := k.src.Read(k.tryRead)
	switch {
	case err != nil:
	case k.err != nil:
		err = os.NewSyscallError("read", k.err)
	case len(m.piece) == 0:
		err = io.EOF
	default:
		m.received(len(m.piece), false)
		return nil
	}
	return m.receiveError(err)
}

func (m *mover) tryRead(fd uintptr) bool {
	m.lent = buffers.Get().(*[bufferSize]byte)
	for {
		n, err := call(unix.SYS_READ, fd, m.lent[:m.most])
		if err == unix.EINTR {
			continue
		}
		m.piece, m.kernel.err = m.lent[:n], err
		m.release()
		return err != unix.EAGAIN
	}
}

// write writes the piece to dst, and leaves in it what could not be written.
func (m *mover) write() error {
	k := &m.kernel
	if k.dst == nil {
		return m.writeCopied()
	}
	whole := len(m.piece)
	err := k.dst.Write(k.tryWrite)
	m.sent(whole-len(m.piece), false)
	if err != nil {
		return err
	}
	return os.NewSyscallError("write", k.err)
}

func (m *mover) tryWrite(fd uintptr) bool {
	k := &m.kernel
	for k.err = nil; len(m.piece) > 0; {
		n, err := call(unix.SYS_WRITE, fd, m.piece)
		m.piece = m.piece[n:]
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
	if k.tryFill == nil {
		k.tryFill, k.tryDrain = m.tryFill, m.tryDrain
		_ = k.dst.Control(growSendBuffer)
	}
	for small := 0; small < demoteAfter; {
		if err := m.fill(); err != nil || k.p == nil {
			return err
		}
		if k.n < smallPiece {
			small++
		} else {
			small = 0
		}
		m.received(k.n, true)
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
	m.sent(sent, true)
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

// growSendBuffer lets a Unix socket hold twice of what it does by default, unless that was changed: then its
// receiver has something to take while the relay is being woken. It makes a sixth of the rate, and as much of the
// processor's time. TCP sizes its buffers by itself.
func growSendBuffer(fd uintptr) {
	domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return
	}
	size, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err == nil && size == defaultSendBuffer() {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, size) // the kernel doubles it, socket(7)
	}
}

// defaultSendBuffer is what SO_SNDBUF tells of a new Unix socket; 0 where none can be made.
var defaultSendBuffer = sync.OnceValue(func() int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	size, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	return size
})

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
