//go:build unix && !linux

package pattern

import "github.com/tincan-ipc/tincan/zmtp"

const maxTurns = 0

// A busyPoll is for systems that let a program give its core away.
type busyPoll struct{}

func (*busyPoll) begin(*reader) bool { return false }

func (*busyPoll) again() bool { return false }

func (*busyPoll) end() {}

// vectors reports whether m can be written from where it lies.
func (c *rawConn) vectors(*outgoing) bool { return c != nil }

// tryWriteMessage writes what the system takes of m at once, piece by piece without copying it: package unix
// doesn't have writev(2) for all of these systems.
func (c *rawConn) tryWriteMessage(m *outgoing) (n int, err error) {
	n, err = c.tryWrite(m.frames)
	done := n == len(m.frames)
	var header [zmtp.MaxHeader]byte
	for i, part := range m.parts {
		for _, piece := range [][]byte{zmtp.AppendHeader(header[:0], m.flags(i), len(part)), part} {
			if err != nil || !done {
				return n, err
			}
			var written int
			written, err = c.tryWrite(piece)
			n += written
			done = written == len(piece)
		}
	}
	return n, err
}
