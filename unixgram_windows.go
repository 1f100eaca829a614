package tincan

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// errNoUnixMessages: Windows has Unix sockets of the stream type alone.
var errNoUnixMessages = fmt.Errorf("unixgram and unixpacket: %w on Windows", errors.ErrUnsupported)

func (unixgramTransport) DialMessage(context.Context, *Dialer, *Endpoint) (MessageConn, error) {
	return nil, errNoUnixMessages
}

func (unixgramTransport) ListenMessage(context.Context, *ListenConfig, *Endpoint) (MessageListener, error) {
	return nil, errNoUnixMessages
}

func (unixpacketTransport) DialMessage(context.Context, *Dialer, *Endpoint) (MessageConn, error) {
	return nil, errNoUnixMessages
}

func (unixpacketTransport) ListenMessage(context.Context, *ListenConfig, *Endpoint) (MessageListener, error) {
	return nil, errNoUnixMessages
}

func newUnixgramSocket(*net.UnixConn) (packetSocket, error) { return nil, errNoUnixMessages }
