package service

import (
	"context"
	"net"
)

// discardService throws away what it receives (RFC 863).
var discardService = Service{
	Name:    "discard",
	Summary: "throws away what it receives",
	Stream:  discardStream,
	Message: plain("discard", discardMessage),
	Try:     tryConnect("echo hello", ""),
}

func discardStream(ctx context.Context, conn net.Conn) error {
	return exchange(ctx, conn, func([]byte) []byte { return nil })
}

func discardMessage(context.Context, []byte) ([]byte, error) {
	return nil, nil
}
