package capture

import (
	"encoding/binary"
	"io"
)

// wholeBlocks is a file of pcapng blocks, which may come in pieces. It knows where the last whole one ends, so that a
// recording that a full disk ends can be read to its end.
type wholeBlocks struct {
	io.WriteCloser
	whole int64  // where that is
	begun []byte // of the next block what has come of its type and length
	left  int    // how much of it is to come
}

func (f *wholeBlocks) Write(p []byte) (int, error) {
	n, err := f.WriteCloser.Write(p)
	f.follow(p[:n])
	return n, err
}

// follow takes note of what was written. See draft-ietf-opsawg-pcapng, General Block Structure.
func (f *wholeBlocks) follow(p []byte) {
	const header = 8
	for len(p) > 0 {
		if f.left == 0 {
			n := min(header-len(f.begun), len(p))
			f.begun, p = append(f.begun, p[:n]...), p[n:]
			if len(f.begun) < header {
				return
			}
			f.left = int(binary.LittleEndian.Uint32(f.begun[4:])) - header
		}
		n := min(f.left, len(p))
		p = p[n:]
		if f.left -= n; f.left == 0 {
			f.whole += int64(binary.LittleEndian.Uint32(f.begun[4:]))
			f.begun = f.begun[:0]
		}
	}
}

// cut takes off what is behind the last whole block, where the file can be cut.
func (f *wholeBlocks) cut() {
	if file, ok := f.WriteCloser.(interface{ Truncate(size int64) error }); ok {
		_ = file.Truncate(f.whole) // what failed before is told
	}
}
