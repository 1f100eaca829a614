//go:build unix && !linux

package pattern

// vectors reports whether m can be written from where it lies: package unix has no writev(2) for all of these.
func (*rawConn) vectors(*outgoing) bool { return false }

func (*rawConn) tryWriteMessage(*outgoing) (int, error) { panic("vectors forbids it") }

func (*rawConn) writevSome(uintptr) bool { return true }
