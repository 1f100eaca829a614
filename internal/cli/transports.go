package cli

import "github.com/tincan-ipc/tincan"

// transports wires the transports beside the built-in ones: a place to add to.
func transports() (map[string]tincan.Transport, map[string]tincan.MessageTransport) {
	return nil, nil
}
