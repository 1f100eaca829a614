//go:build !unix

package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// Signal ends the program: there are no signals here.
func (c *Child) Signal(os.Signal) { c.Kill() }

// Kill ends the program at once.
func (c *Child) Kill() { _ = c.cmd.Process.Kill() }

// Deaf reports whether nobody can read what is written to the program any more.
func (c *Child) Deaf() bool { return true } // asked when it has ended

func (c *Child) startTerminal(*Program) error {
	return fmt.Errorf("pseudo-terminal: %w on this system", errors.ErrUnsupported)
}

// Resize does nothing: there are no pseudo-terminals here.
func (c *Child) Resize(*os.File) error { return errors.ErrUnsupported }
