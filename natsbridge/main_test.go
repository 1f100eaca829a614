package natsbridge_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tincan-ipc/tincan/internal/natstest"
)

func TestMain(m *testing.M) {
	natstest.Child()
	party()
	goleak.VerifyTestMain(m)
}
