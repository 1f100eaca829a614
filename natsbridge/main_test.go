package natsbridge_test

import (
	"testing"

	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/internal/natstest"
)

func TestMain(m *testing.M) {
	natstest.Child()
	party()
	leaktest.Main(m)
}
