//go:build !linux

package vsock

import (
	"context"
	"errors"
	"net"

	"github.com/tincan-ipc/tincan"
)

// Dial is for Linux; here the error is [errors.ErrUnsupported].
func (Transport) Dial(_ context.Context, _ *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	return nil, unsupported("dial", e, cidLocal)
}

// Listen is for Linux; here the error is [errors.ErrUnsupported].
func (Transport) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return nil, unsupported("listen", e, cidAny)
}

// unsupported tells a wrong address all the same.
func unsupported(op string, e *tincan.Endpoint, unnamed uint32) error {
	cid, port, err := address(e, unnamed)
	if err != nil {
		return err
	}
	return &net.OpError{Op: op, Net: e.Scheme, Addr: endpoint(cid, port), Err: errors.ErrUnsupported}
}
