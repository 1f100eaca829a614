package vsock_test

import (
	"errors"
	"net"
	"runtime"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/vsock"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func config() tincan.Config {
	var c tincan.Config
	vsock.AddTo(&c)
	return c
}

func TestWrongAddresses(t *testing.T) {
	for _, e := range []*tincan.Endpoint{
		{Scheme: "vsock", Host: "guest", Port: "1"},
		{Scheme: "vsock", Host: "4294967296", Port: "1"},
		{Scheme: "vsock", Host: "2", Port: "http"},
		{Scheme: "vsock", Host: "2"},
	} {
		var problem *tincan.EndpointError
		if _, err := (&tincan.Dialer{Config: config()}).DialEndpoint(t.Context(), e); !errors.As(err, &problem) {
			t.Errorf("Dial %v: %v", e, err)
		}
		if _, err := (&tincan.ListenConfig{Config: config()}).ListenEndpoint(t.Context(), e); !errors.As(err, &problem) {
			t.Errorf("Listen %v: %v", e, err)
		}
	}
}

func TestOtherSystems(t *testing.T) {
	if runtime.GOOS == "linux" {
		t.Skip("this is the system that has them")
	}
	var opErr *net.OpError
	_, err := (&tincan.Dialer{Config: config()}).Dial(t.Context(), "vsock://host:1")
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) || opErr.Op != "dial" {
		t.Errorf("Dial: %v", err)
	}
	_, err = (&tincan.ListenConfig{Config: config()}).Listen(t.Context(), "vsock://*:1")
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &opErr) || opErr.Op != "listen" {
		t.Errorf("Listen: %v", err)
	}
}
