package tincan

import (
	"context"
	"errors"
	"net"
)

// Replaced by the real transports in the commits that follow.
type (
	memTransport struct {
		pendingStream
		pendingMessage
	}
	pendingStream  struct{}
	pendingMessage struct{}
)

func (pendingStream) Dial(context.Context, *Dialer, *Endpoint) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
func (pendingStream) Listen(context.Context, *ListenConfig, *Endpoint) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
func (pendingMessage) DialMessage(context.Context, *Dialer, *Endpoint) (MessageConn, error) {
	return nil, errors.ErrUnsupported
}
func (pendingMessage) ListenMessage(context.Context, *ListenConfig, *Endpoint) (MessageListener, error) {
	return nil, errors.ErrUnsupported
}
