package pattern

import "context"

// watchAfter is how many requests in a row have to come with one context for it to be watched.
const watchAfter = 64

// A watch waits for the end of a context for all calls that came with it. A call that waits for that as well as for its reply costs
// half as much again as one that waits for its reply alone, and callers in numbers often have one context. Each
// with its own are not watched, for that takes longer than such a wait.
type watch struct {
	done  <-chan struct{} // the context's
	seen  int             // requests in a row that came with it
	calls int             // under way that are watched
	stop  func() bool     // ends it; nil while it hasn't begun
}

// watches reports whether the watch sees to a call that came with ctx, which it counts. mu is held.
func (b *calls) watches(ctx context.Context) bool {
	w := &b.watch
	done := ctx.Done()
	if done == nil || done != w.done && w.calls > 0 {
		return false
	}
	if done != w.done {
		b.unwatch()
		w.done = done
	}
	if w.seen++; w.seen < watchAfter {
		return false
	}
	if w.stop == nil {
		b.s.wg.Add(1) // Close joins what AfterFunc starts
		w.stop = context.AfterFunc(ctx, func() {
			defer b.s.wg.Done()
			b.giveUp(done)
		})
	}
	w.calls++
	return true
}

// unwatch ends the watch, of which there are no calls. mu is held.
func (b *calls) unwatch() {
	if stop := b.watch.stop; stop != nil && stop() {
		b.s.wg.Done()
	}
	b.watch = watch{}
}

// giveUp ends the calls that are watched when their context has ended, whose Done this was.
func (b *calls) giveUp(done <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watch.done != done {
		return // it ended while it was unwatched
	}
	b.fail(errGivenUp, func(c *call) bool { return c.watched })
	b.watch = watch{}
}
