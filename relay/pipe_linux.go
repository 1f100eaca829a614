package relay

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is about what a fast TCP sender has under way at once: each time that it is emptied an acknowledgement
	// goes out and wakes the sender, and with half the size that costs a quarter more processor time.
	pipeSize = 1 << 20
	// Each page in a pipe counts against a limit per user (pipe(7),
	// pipe-user-pages-soft: 64 MiB by default), so only so many are ever open.
	maxPipes = 32
	// pipeRest is how long a pipe is kept open unused.
	pipeRest = 10 * time.Second
)

// A pipe is the kernel buffer that spliced pages pass through. It is lent for one
// piece at a time, so that a flow which stops for a while keeps none from others.
type pipe struct{ r, w, size int }

// pipePool holds the pipes that are open and unused.
type pipePool struct {
	mu       sync.Mutex // guards what follows
	free     []*pipe    // the last is the one used last, and its memory is warm
	count    int        // open in all
	spare    int        // so many were free all the time since the last sweep
	sweeping bool       // there will be a next one
}

var pipes pipePool

// get gives an empty pipe, nil when no more can be had.
func (pp *pipePool) get() *pipe {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	if n := len(pp.free); n > 0 {
		p := pp.free[n-1]
		pp.free = pp.free[:n-1]
		pp.spare = min(pp.spare, n-1)
		return p
	}
	if pp.count >= maxPipes {
		return nil
	}
	p := newPipe()
	if p != nil {
		pp.count++
	}
	return p
}

// put takes back a pipe; one that may not be empty is closed.
func (pp *pipePool) put(p *pipe, empty bool) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	if !empty {
		pp.count--
		p.close()
		return
	}
	pp.free = append(pp.free, p)
	if !pp.sweeping {
		pp.sweeping = true
		time.AfterFunc(pipeRest, pp.sweep)
	}
}

// sweep closes the pipes that nobody needed since the last time.
func (pp *pipePool) sweep() {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	for _, p := range pp.free[:pp.spare] {
		p.close()
		pp.count--
	}
	pp.free = append(pp.free[:0], pp.free[pp.spare:]...)
	pp.spare = len(pp.free)
	if pp.sweeping = pp.count > 0; pp.sweeping {
		time.AfterFunc(pipeRest, pp.sweep)
	}
}

func newPipe() *pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	// Where the user's limit is reached it keeps the size that it has, which may be one page.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	p := &pipe{r: fds[0], w: fds[1], size: size}
	if err != nil || size < minPipe {
		p.close()
		return nil
	}
	return p
}

// minPipe is the least that is worth the calls.
const minPipe = 32 << 10

func (p *pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}
