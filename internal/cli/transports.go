package cli

import (
	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/npipe"
	"github.com/tincan-ipc/tincan/vsock"
	"github.com/tincan-ipc/tincan/ws"
)

// addTransports wires in what every verb opens beside the built-in schemes.
func addTransports(c *tincan.Config) {
	ws.AddTo(c)
	vsock.AddTo(c)
	npipe.AddTo(c)
}
