package relay

import "sync"

// An event happens once. The zero value has not. Few are ever waited for, and the others cost no channel.
type event struct {
	mu       sync.Mutex // guards what follows
	happened bool
	c        chan struct{} // nil until somebody waits
}

// set makes it happen.
func (e *event) set() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.c != nil && !e.happened {
		close(e.c)
	}
	e.happened = true
}

// has reports whether it has.
func (e *event) has() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.happened
}

// done gives a channel that is closed when it has happened.
func (e *event) done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.c == nil {
		e.c = make(chan struct{})
		if e.happened {
			close(e.c)
		}
	}
	return e.c
}
