package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/sys/unix"
)

const (
	canSplice = true

	pipeSize = 1 << 20
	// Each page in a pipe counts against a limit per user (pipe(7),
	// pipe-user-pages-soft: 64 MiB by default), so only so many are ever open.
	maxPipes = 32

	// demoteAfter pieces in a row below smallPiece end a bulk phase.
	demoteAfter = 16
	smallPiece  = 8 << 10
)

var (
	errDemoted  = errors.New("no longer bulk")
	errNoSplice = errors.New("these can't be spliced")
)

// A pipe is the kernel buffer that spliced pages pass through.
type pipe struct{ r, w, size int }

// pipes are open and unused; count says how many are open in all.
var pipes struct {
	mu    sync.Mutex // guards what follows
	free  []*pipe
	count int
}

// getPipe gives an empty pipe, nil when no more can be had.
func getPipe() *pipe {
	pipes.mu.Lock()
	defer pipes.mu.Unlock()
	if n := len(pipes.free); n > 0 {
		p := pipes.free[n-1]
		pipes.free = pipes.free[:n-1]
		return p
	}
	if pipes.count >= maxPipes {
		return nil
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil { // the user's limit is reached: it keeps the default size
		size = 64 << 10
	}
	pipes.count++
	return &pipe{fds[0], fds[1], size}
}

// putPipe returns an empty pipe; closing it instead, where it may not be empty.
func putPipe(p *pipe, empty bool) {
	pipes.mu.Lock()
	defer pipes.mu.Unlock()
	if empty {
		pipes.free = append(pipes.free, p)
		return
	}
	pipes.count--
	unix.Close(p.r)
	unix.Close(p.w)
}

// splice moves bulk through a pipe, without copying it through the process,
// until src ends or the flow is bulk no more (errDemoted).
func (m *mover) splice(ctx context.Context) (err error) {
	p := getPipe()
	if p == nil {
		return errDemoted // others are using them all
	}
	inPipe := 0
	defer func() { putPipe(p, inPipe == 0) }()
	for small := 0; small < demoteAfter; {
		inPipe, err = fill(p, m.rawSrc)
		if errors.Is(err, unix.EINVAL) {
			return errNoSplice
		}
		if err != nil || inPipe == 0 {
			if err == nil {
				err = io.EOF
			}
			return m.receiveError(err)
		}
		if inPipe < smallPiece {
			small++
		} else {
			small = 0
		}
		n := inPipe
		if err := drain(p, m.rawDst, &inPipe); err != nil {
			if errors.Is(err, unix.EINVAL) {
				if err := m.empty(p, &inPipe); err != nil {
					return err
				}
				return errors.Join(m.pair.passed(ctx, m.d, n), errNoSplice)
			}
			return m.sendError(err)
		}
		if err := m.pair.passed(ctx, m.d, n); err != nil {
			return err
		}
	}
	return errDemoted
}

// fill moves what src has into the empty pipe; 0 is src's end.
func fill(p *pipe, src syscall.RawConn) (n int, err error) {
	waitErr := src.Read(func(fd uintptr) bool {
		n, err = splice(int(fd), p.w, p.size)
		return err != unix.EAGAIN // the pipe is empty, so it is src that has nothing
	})
	if waitErr != nil {
		return 0, waitErr
	}
	return n, os.NewSyscallError("splice", err)
}

// drain moves the rest bytes in the pipe to dst.
func drain(p *pipe, dst syscall.RawConn, rest *int) (err error) {
	waitErr := dst.Write(func(fd uintptr) bool {
		for *rest > 0 {
			var n int
			if n, err = splice(p.r, int(fd), *rest); err != nil {
				return err != unix.EAGAIN
			}
			*rest -= n
		}
		return true
	})
	if waitErr != nil {
		return waitErr
	}
	return os.NewSyscallError("splice", err)
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

// empty writes what is in the pipe to dst by hand, where dst can't be spliced to.
func (m *mover) empty(p *pipe, rest *int) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for *rest > 0 {
		n, err := unix.Read(p.r, (*buf)[:min(*rest, bufferSize)])
		if err != nil {
			return m.sendError(os.NewSyscallError("read", err))
		}
		*rest -= n
		if _, err := m.dst.Write((*buf)[:n]); err != nil {
			return m.sendError(err)
		}
	}
	return nil
}

// readLazily reads from src into a buffer that is taken only when there is something.
func readLazily(src syscall.RawConn) (buf *[]byte, n int, err error, ok bool) {
	waitErr := src.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[]byte)
		for {
			n, err = unix.Read(int(fd), *buf)
			if err != unix.EINTR {
				break
			}
		}
		if err == unix.EAGAIN {
			buffers.Put(buf)
			buf = nil
			return false
		}
		return true
	})
	switch {
	case waitErr != nil:
		return nil, 0, waitErr, true
	case err != nil:
		return buf, 0, os.NewSyscallError("read", err), true
	case n == 0:
		return buf, 0, io.EOF, true
	}
	return buf, n, nil, true
}

// awaitSent waits, most at most, until the peer has what was sent to c: a reset would discard it.
func awaitSent(c tincan.Conn, most time.Duration) {
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		return
	}
	for wait, deadline := time.Millisecond, time.Now().Add(most); time.Now().Before(deadline); wait = min(2*wait, 50*time.Millisecond) {
		var queued int
		if raw.Control(func(fd uintptr) { queued, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) != nil || err != nil || queued == 0 {
			return
		}
		time.Sleep(wait)
	}
}
