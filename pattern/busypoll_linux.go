package pattern

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// pollTime bounds how long a reader looks again and again. It is about what waking a core costs, and waking
	// both ends is all that a round trip between two cores would take.
	pollTime = 50 * time.Microsecond
	// dialogue is how many times in a row one message has to come for one that was sent.
	dialogue = 8
	// maxTurns bounds how many messages in a row are waited for like this: the runtime has to look after what else the
	// process has open, and on one processor that is when all goroutines wait.
	maxTurns = 32
	// maxSkips bounds the waits that go by without looking after it was in vain.
	maxSkips = 1024
)

// A busyPoll has a reader look for the next message for a moment before it waits, where a dialogue is under way: then
// the message is close, and being woken costs many times what taking it does. The core is given away before each
// look, so that a peer on the same one goes on; that is faster than waiting, too. Where messages come in numbers
// it would only keep them from coming together.
//
// It is for a socket with a single peer, and one in the process at a time, so that nobody waits for another's dialogue.
// Only the reader uses it.
type busyPoll struct {
	until time.Time // when to give up; zero while it isn't looking
	skips int       // waits to let go by
	vain  int       // what skips began with the last time
}

// polling says that a reader of the process is looking.
var polling atomic.Bool

// begin decides, after a message was handed on, whether to look for the next. It lets whoever answers run first.
func (b *busyPoll) begin(r *reader) bool {
	if r.turns < dialogue {
		return false
	}
	if b.skips > 0 {
		b.skips--
		return false
	}
	if r.p.s.peerCount() > 1 {
		return false
	}
	runtime.Gosched()
	if polling.Swap(true) {
		return false
	}
	b.until = time.Now().Add(pollTime)
	return true
}

// again reports whether to look again. It gives the core away before.
func (b *busyPoll) again() bool {
	if b.until.IsZero() || b.late() {
		return false
	}
	_, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	return true
}

func (b *busyPoll) late() bool { return time.Now().After(b.until) }

// end notes that a look has come to its end, with a message or without. A message that came late was in vain as well: others
// have much to do on the core, and who gives it away is the last of them.
func (b *busyPoll) end() {
	if b.until.IsZero() {
		return
	}
	if b.late() {
		b.vain = min(max(1, 2*b.vain), maxSkips)
	} else {
		b.vain = 0
	}
	b.skips, b.until = b.vain, time.Time{}
	polling.Store(false)
}
