package relay

import (
	"fmt"
	"runtime/debug"
)

// A PanicError is a panic while a pair was dialled or relayed, in a function of [Options],
// a [Forwarder] or a transport. It ended its own pair alone.
type PanicError struct {
	// Value is that of the panic; nil for [runtime.Goexit].
	Value any
	// Stack is that of the goroutine that panicked.
	Stack []byte
}

// newPanicError is what a deferred function makes of recover's value.
func newPanicError(value any) *PanicError { return &PanicError{Value: value, Stack: debug.Stack()} }

func (e *PanicError) Error() string { return fmt.Sprintf("relaying panicked: %v", e.Value) }

// Unwrap gives the panic's value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
