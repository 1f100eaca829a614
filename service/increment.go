package service

import (
	"context"
	"net"
)

// incrementService answers each byte by that byte + 1, 255 by 0.
var incrementService = Service{
	Name:      "increment",
	Summary:   "answers each byte by that byte + 1",
	Endpoints: []string{"tcp://127.0.0.1:9734", "unix:server_socket"},
	Stream:    incrementStream,
	Message:   plain("increment", incrementMessage),
	Try:       tryConnect("printf A", ""),
}

func incrementStream(ctx context.Context, conn net.Conn) error {
	return exchange(ctx, conn, increment)
}

func incrementMessage(_ context.Context, request []byte) ([]byte, error) {
	return increment(request), nil
}

func increment(b []byte) []byte {
	for i := range b {
		b[i]++
	}
	return b
}
