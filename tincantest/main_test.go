package tincantest_test

import (
	"testing"

	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
