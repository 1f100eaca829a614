package state

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait: far more than what is waited for ever takes.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
