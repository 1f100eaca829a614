package tincan

import (
	"context"
	"sync"
)

// A gate is a condition variable whose wait a context can end. It is opened
// for one waiter at a time: whoever comes through and leaves its condition
// true for others opens it again. The owner's mutex guards it.
//
// It waits on a channel, which [testing/synctest] takes for durably blocked.
type gate struct {
	token   chan struct{}
	waiting int
}

func newGate() gate { return gate{token: make(chan struct{}, 1)} }

// open lets one waiter, if any, look at its condition again. mu must be held.
func (g *gate) open() {
	if g.waiting == 0 {
		return
	}
	select {
	case g.token <- struct{}{}:
	default: // one is on its way, and will open it again
	}
}

// wait gives mu up until the gate is opened or ctx ends. The caller then looks
// at its condition again, which may still be false.
func (g *gate) wait(ctx context.Context, mu *sync.Mutex) {
	g.waiting++
	mu.Unlock()
	select {
	case <-g.token:
	case <-ctx.Done():
	}
	mu.Lock()
	g.waiting--
}
