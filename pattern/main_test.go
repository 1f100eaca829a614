package pattern_test

import (
	"os"
	"testing"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(idleSocket); endpoint != "" {
		os.Exit(serveIdle(endpoint))
	}
	leaktest.Main(m)
}
