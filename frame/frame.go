// Package frame is written next.
package frame

import "fmt"

// A ProtocolError is a fault of the peer on the wire.
type ProtocolError struct {
	// Offset is where, in bytes: from the beginning of the stream, or of the message.
	Offset int64
	// Rule names what was broken.
	Rule string
	// Detail says how.
	Detail string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: %s at byte %d", e.Rule, e.Detail, e.Offset)
}
