package service

import (
	"context"
	"net"
)

// echoService sends every byte and every message back (RFC 862).
var echoService = Service{
	Name:      "echo",
	Summary:   "sends back what it receives",
	Endpoints: []string{"tcp://127.0.0.1:27015"},
	Stream:    echoStream,
	Message:   plain("echo", echoMessage),
	Try:       tryConnect("echo hello", ""),
}

func echoStream(ctx context.Context, conn net.Conn) error {
	return exchange(ctx, conn, func(piece []byte) []byte { return piece })
}

func echoMessage(_ context.Context, request []byte) ([]byte, error) {
	return request, nil
}
