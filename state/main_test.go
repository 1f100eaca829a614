package state

import (
	"os"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

// patience bounds every wait: far more than what is waited for ever takes.
const patience = time.Minute

// asProcess is what this binary does in place of the tests where another test runs it as a process of its own.
var asProcess func() bool

func TestMain(m *testing.M) {
	if asProcess != nil && asProcess() {
		os.Exit(0)
	}
	leaktest.Main(m)
}
