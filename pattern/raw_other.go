//go:build !unix

package pattern

import "net"

// A rawConn is for systems on which a socket can be read and written without waiting.
type rawConn struct{}

// A prober is for them.
type prober struct{}

func (*prober) stop() {}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) vectors(*outgoing) bool { return false }

func (*rawConn) tryWrite([]byte) (int, error) { panic("there is no rawConn here") }

func (*rawConn) tryWriteMessage(*outgoing) (int, error) { panic("there is no rawConn here") }

func (*rawConn) serve(*reader) error { panic("there is no rawConn here") }
