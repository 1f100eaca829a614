package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// An interruptError says that a signal ended the verb.
type interruptError struct{ sig os.Signal }

func (e interruptError) Error() string { return "ended by signal: " + e.sig.String() }

func (e interruptError) number() int {
	if n, ok := e.sig.(syscall.Signal); ok {
		return int(n)
	}
	return 2
}

// interrupts turns SIGINT and SIGTERM into the end of a context. The second
// one ends the process at once, whatever it is doing.
type interrupts struct {
	signals chan os.Signal
	first   chan os.Signal // gets the first, once
	done    chan struct{}

	mu    sync.Mutex // guards leave
	leave []func()   // what must not outlive the process
}

func catchInterrupts() *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 2), first: make(chan os.Signal, 1), done: make(chan struct{})}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for seen := 0; ; {
			select {
			case sig := <-i.signals:
				if seen++; seen > 1 {
					i.leaveAtOnce()
					os.Exit(128 + interruptError{sig}.number())
				}
				i.first <- sig
			case <-i.done:
				return
			}
		}
	}()
	return i
}

// beforeExit has f called when a second signal ends the process, and before all else: nothing that is deferred runs
// then. f must not wait for anybody.
func (i *interrupts) beforeExit(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leave = append(i.leave, f)
}

func (i *interrupts) leaveAtOnce() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.leave {
		f()
	}
}

func (i *interrupts) stop() {
	signal.Stop(i.signals)
	close(i.done)
}

// context gives a child of parent that the first signal ends, with an
// [interruptError] as its cause. One verb calls it once.
func (i *interrupts) context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	go func() {
		select {
		case sig := <-i.first:
			cancel(interruptError{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// keepBrokenPipes makes a write to a closed pipe an error, where it would
// otherwise end the process with no chance to remove a socket's path.
// (Unlike ignoring the signal this is not inherited by child processes.)
func keepBrokenPipes() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
