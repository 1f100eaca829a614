package tincan_test

import (
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds every wait of a test: far more than what is waited for ever takes.
const patience = time.Minute
