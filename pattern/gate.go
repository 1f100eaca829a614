package pattern

import (
	"context"
	"sync"
)

// A gate is a condition variable whose wait a context can end. It is opened
// for one waiter at a time: whoever comes through and leaves its condition
// true for others opens it again. The owner's mutex guards it.
type gate struct {
	token   chan struct{} // made by the first waiter
	waiting int
}

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

// A signal tells all who wait that what they wait for may have come about. The zero value works.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // closed by raise; nil while nobody waits
}

// wait gives a channel that the next raise closes. Take it, look at the condition, then receive.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
