//go:build !unix

package local

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// A Socket is what an inherited descriptor turned out to be: one of the two is set.
type Socket struct {
	Listener net.Listener
	Conn     net.Conn
}

// OpenFD takes over the descriptor of e: here there are none.
func (e *End) OpenFD() (Socket, error) {
	return Socket{}, fmt.Errorf("%s: %w on this system", e, errors.ErrUnsupported)
}

func (e *End) take(*os.File) (Socket, error) { return e.OpenFD() }

func openTerminal(string) (*os.File, error) { return nil, errors.ErrUnsupported }
