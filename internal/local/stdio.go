package local

import (
	"errors"
	"net"
	"os"
)

// Stdio joins a process's input and output. Neither changes for others that
// share them; the end of what is written closes out.
func (e *End) Stdio(in, out *os.File) net.Conn {
	return oneWay(e, own(in), &shared{own(out), out})
}

// A shared is a file of our own for what another descriptor of ours stands for too.
type shared struct {
	file
	original *os.File
}

// Close closes both: a pipe has ended only then.
func (s *shared) Close() error {
	err := s.file.Close()
	if original := s.original.Close(); err == nil && !errors.Is(original, os.ErrClosed) {
		err = original
	}
	return err
}
