// Package leaktest runs a package's tests and sees to it that no goroutine is left behind.
package leaktest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds how long a goroutine may take to end behind the last test. goleak alone waits for less than half a
// second, which a busy machine may well keep one from its turn.
const patience = 30 * time.Second

// Main runs the tests of m and ends the process, with a failure where goroutines are left that options don't except.
func Main(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(patient{m, options}, options...)
}

type patient struct {
	m       *testing.M
	options []goleak.Option
}

func (p patient) Run() int {
	code := p.m.Run()
	for end := time.Now().Add(patience); code == 0 && time.Now().Before(end) && goleak.Find(p.options...) != nil; {
	}
	return code
}
