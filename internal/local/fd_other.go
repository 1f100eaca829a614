//go:build !unix

package local

import (
	"errors"
	"fmt"
	"os"
)

// OpenFD takes over the descriptor of e: here there are none.
func (e *End) OpenFD() (Socket, error) {
	return Socket{}, fmt.Errorf("%s: %w on this system", e, errors.ErrUnsupported)
}

// Carries: what isn't there would carry bytes.
func (e *End) Carries() (streams, messages bool) { return true, false }

func (e *End) take(*os.File) (Socket, error) { return e.OpenFD() }

func openTerminal(string) (*os.File, error) { return nil, errors.ErrUnsupported }
