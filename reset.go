package tincan

import (
	"context"
	"time"
)

// Pauses of Reset between looks at what is still unsent, and how long it looks on while nothing moves.
const (
	minSentPause = time.Millisecond
	maxSentPause = 50 * time.Millisecond
	maxSentStall = time.Second
)

// Reset closes c as [Abort] does, but what was written before reaches the
// peer first, who finds the reset behind it. For TCP, below TLS and WebSocket too, it blocks until
// the peer's system has acknowledged all that was written, ctx ends, or for a second
// none of it was; what is unsent then is discarded. Systems other than Linux don't tell, and there it
// doesn't wait. Where the family has no reset the error is [errors.ErrUnsupported] and c is still open.
func Reset(ctx context.Context, c Conn) error {
	if r, ok := as[interface{ Reset() error }](c, true); ok {
		return opError("reset", c, r.Reset())
	}
	awaitSent(ctx, func() int { return unsent(c) })
	return Abort(c)
}

// awaitSent waits while left gives less and less, but not 0.
func awaitSent(ctx context.Context, left func() int) {
	least, moved := left(), time.Now()
	for pause := minSentPause; least > 0 && time.Since(moved) < maxSentStall; pause = min(2*pause, maxSentPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if n := left(); n < least {
			least, moved = n, time.Now()
		}
	}
}
