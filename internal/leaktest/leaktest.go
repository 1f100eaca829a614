// Package leaktest runs a package's tests and sees to it that no goroutine is left behind.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds how long a goroutine may take to end behind the last test. goleak alone waits for less than half a
// second, which a busy machine may well keep one from its turn.
const patience = 30 * time.Second

// Main runs the tests of m and ends the process, with a failure where goroutines are left that options don't except.
func Main(m *testing.M, options ...goleak.Option) { os.Exit(Checked{m, options}.Run()) }

// Checked are the tests of a package, for who runs them himself as testscript.Main does.
type Checked struct {
	M       *testing.M
	Options []goleak.Option
}

// Run runs the tests, and gives what the process should exit with.
func (c Checked) Run() int {
	code := c.M.Run()
	for end := time.Now().Add(patience); code == 0; {
		err := goleak.Find(c.Options...)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "left behind by the tests:", err)
			code = 1
		}
	}
	return code
}
