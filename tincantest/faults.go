package tincantest

import (
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/wait"
)

// Faults is what a byte stream does wrong, as a hostile or unlucky peer or
// network would. The zero value does nothing wrong. What is random in it is the
// same in every run with the same Seed. See [WrapFaulty].
type Faults struct {
	// Seed decides lengths and jitter.
	Seed uint64
	// Read is what happens to the bytes that are read, Write to those that are written.
	Read, Write Flow
	// Release ends every stall when it is closed. While it is nil a stall lasts
	// until the call's deadline or until the connection is closed.
	Release <-chan struct{}
}

// A Flow is what one direction of a stream does wrong. Its fields work together.
type Flow struct {
	// Delay is how long each piece waits before it passes, and Jitter bounds a
	// random time more. Zero or negative is none. A Read that had to wait for the peer waited before that.
	Delay, Jitter time.Duration
	// Rate is how many bytes may pass in a second. Zero or negative sets no bound.
	Rate tincan.Size
	// Piece is the longest piece in bytes: a Read gives no more, and a Write passes
	// its bytes on in so many. Zero or negative sets no bound.
	Piece int
	// Ragged makes each piece of a random length, from 1 byte to Piece or to all there is.
	Ragged bool
	// Flip is the mask of the bits that are wrong in the byte number FlipAt,
	// counted from 0. Zero flips none.
	Flip   byte
	FlipAt int64
	// End happens once, when At bytes have passed: with the last of them, or where At is 0 with the first call.
	End End
	At  int64
}

// An End is what becomes of a faulty stream in the middle.
type End int

// The ends.
const (
	// NoEnd lets the stream go on.
	NoEnd End = iota
	// Stall holds up this direction until Faults.Release.
	Stall
	// HalfClose ends this direction in order, and the other goes on: what is written is
	// followed by [tincan.CloseWrite], and what is read by [io.EOF].
	HalfClose
	// Cut closes the connection below with nothing said before, as a process that is killed
	// does. Where something is left unread there, the system may make a reset of it.
	Cut
	// Reset resets the connection by [tincan.Abort]. Where the family has no reset it cuts it.
	Reset
)

// slice is the part of a second that a piece may last under a Rate.
const slice = 10 * time.Millisecond

// A flow is one direction of a connection.
type flow struct {
	Flow
	release <-chan struct{}
	turn    chan struct{} // holds a value while a call is under way
	by      wait.Deadline

	// Guarded by turn.
	rand   *rand.Rand
	passed int64     // bytes
	free   time.Time // when Rate lets the next piece pass

	mu    sync.Mutex // guards ended
	ended bool       // End has happened
}

func newFlow(f *Faults, own Flow, direction uint64) *flow {
	return &flow{
		Flow: own, release: f.Release, turn: make(chan struct{}, 1),
		rand: rand.New(rand.NewPCG(f.Seed, direction)),
	}
}

func (f *flow) unlock() { <-f.turn }

func (f *flow) isEnded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// due reports, once, that End is to happen now. A stall is never due: whoever comes to it waits.
func (f *flow) due() bool {
	if f.End == NoEnd || f.End == Stall || f.passed < f.At {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.ended
	f.ended = true
	return first
}

// piece gives how many of n bytes may pass at once.
func (f *flow) piece(n int) int {
	if f.Piece > 0 {
		n = min(n, f.Piece)
	}
	if f.Rate > 0 {
		n = min(n, max(1, int(int64(f.Rate)*int64(slice)/int64(time.Second))))
	}
	if f.End != NoEnd && f.passed < f.At {
		n = int(min(int64(n), f.At-f.passed))
	}
	if f.Ragged && n > 1 {
		n = 1 + f.rand.IntN(n)
	}
	return n
}

// hold waits as long as the next piece has to: until the deadline, or until
// over is closed, whose reason is for the caller to tell.
func (f *flow) hold(over <-chan struct{}) error {
	late := f.by.Wait()
	if f.stalled() {
		select {
		case <-f.release:
		case <-late:
			return os.ErrDeadlineExceeded
		case <-over:
			return nil
		}
	}
	wait := max(f.Delay, 0)
	if f.Jitter > 0 {
		wait += time.Duration(f.rand.Int64N(int64(f.Jitter)))
	}
	if f.Rate > 0 {
		wait = max(wait, time.Until(f.free))
	}
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-over:
	case <-late:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (f *flow) stalled() bool { return f.End == Stall && f.passed >= f.At }

// spoil gives b with the bit flips that it has to get, in a copy where there are any.
func (f *flow) spoil(b []byte) []byte {
	i := f.FlipAt - f.passed
	if f.Flip == 0 || i < 0 || i >= int64(len(b)) {
		return b
	}
	b = append([]byte(nil), b...)
	b[i] ^= f.Flip
	return b
}

// count notes that n bytes have passed.
func (f *flow) count(n int) {
	f.passed += int64(n)
	if f.Rate > 0 {
		now := time.Now()
		if f.free.Before(now) {
			f.free = now
		}
		f.free = f.free.Add(time.Duration(int64(n) * int64(time.Second) / int64(f.Rate)))
	}
}
