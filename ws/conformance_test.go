package ws_test

import (
	"testing"

	"github.com/tincan-ipc/tincan/tincantest"
)

func TestStreamConformance(t *testing.T) {
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			tincantest.TestStream(t, tincantest.StreamFixture{
				Endpoint:     endpoint,
				Dialer:       dialer(),
				ListenConfig: listenConfig(),
				NoCloseWrite: true, NoCloseRead: true,
			})
		})
	}
}

func TestMessageConformance(t *testing.T) {
	d := dialer()
	d.Options.MaxMessage = 64 << 10
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			tincantest.TestMessages(t, tincantest.MessageFixture{
				Endpoint:     func(t *testing.T) string { return endpoint(t) + "?max-message=65536" },
				Dialer:       d,
				ListenConfig: listenConfig(),
				NoCloseWrite: true, NoCloseRead: true,
				MaxMessage: 64 << 10,
			})
		})
	}
}
