package npipe_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/npipe"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	leaktest.Main(m, goleak.IgnoreAnyFunction("github.com/Microsoft/go-winio.ioCompletionProcessor"))
}

func config() tincan.Config {
	var c tincan.Config
	npipe.AddTo(&c)
	return c
}

func TestWrongNames(t *testing.T) {
	for _, name := range []string{`a\b`, strings.Repeat("n", 248), "a\x00b"} {
		e := &tincan.Endpoint{Scheme: "npipe", Path: name}
		var problem *tincan.EndpointError
		if _, err := (&tincan.Dialer{Config: config()}).DialEndpoint(t.Context(), e); !errors.As(err, &problem) {
			t.Errorf("Dial %q: %v", name, err)
		}
		if _, err := (&tincan.ListenConfig{Config: config()}).ListenEndpoint(t.Context(), e); !errors.As(err, &problem) {
			t.Errorf("Listen %q: %v", name, err)
		}
	}
}

func TestOtherSystems(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is the system that has them")
	}
	var opErr *net.OpError
	_, err := (&tincan.Dialer{Config: config()}).Dial(t.Context(), "npipe:name")
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) || opErr.Op != "dial" {
		t.Errorf("Dial: %v", err)
	}
	_, err = (&tincan.ListenConfig{Config: config()}).Listen(t.Context(), "npipe:name")
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) || opErr.Op != "listen" {
		t.Errorf("Listen: %v", err)
	}
}
