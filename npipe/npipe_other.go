//go:build !windows

package npipe

import (
	"context"
	"errors"
	"net"

	"github.com/tincan-ipc/tincan"
)

// Dial is for Windows; here the error is [errors.ErrUnsupported].
func (Transport) Dial(_ context.Context, _ *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	return nil, unsupported("dial", e)
}

// Listen is for Windows; here the error is [errors.ErrUnsupported].
func (Transport) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return nil, unsupported("listen", e)
}

// unsupported tells a wrong name all the same.
func unsupported(op string, e *tincan.Endpoint) error {
	if _, err := pipePath(e); err != nil {
		return err
	}
	return tincan.OpError(op, e, errors.ErrUnsupported)
}
