// Package wait has what goroutines wait on where neither a mutex nor a channel alone will do: the wait can be ended.
package wait

import (
	"context"
	"sync"
)

// A Gate is a condition variable whose wait a context can end. It is opened
// for one waiter at a time: whoever comes through and leaves its condition
// true for others opens it again. The owner's mutex guards it. The zero value works.
//
// It waits on a channel, which [testing/synctest] takes for durably blocked.
type Gate struct {
	token   chan struct{} // made by the first waiter
	waiting int
}

// Open lets one waiter, if any, look at its condition again. The owner's mutex must be held.
func (g *Gate) Open() {
	if g.waiting == 0 {
		return
	}
	select {
	case g.token <- struct{}{}:
	default: // one is on its way, and will open it again
	}
}

// Wait gives mu, which must be held, up until the gate is opened or ctx ends. The caller then looks
// at its condition again, which may still be false.
func (g *Gate) Wait(ctx context.Context, mu *sync.Mutex) {
	if g.token == nil {
		g.token = make(chan struct{}, 1)
	}
	g.waiting++
	mu.Unlock()
	if done := ctx.Done(); done == nil {
		<-g.token // a plain receive costs half of a select
	} else {
		select {
		case <-g.token:
		case <-done:
		}
	}
	mu.Lock()
	g.waiting--
}
