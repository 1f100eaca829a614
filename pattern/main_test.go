package pattern_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(idleSocket); endpoint != "" {
		os.Exit(serveIdle(endpoint))
	}
	goleak.VerifyTestMain(m)
}
