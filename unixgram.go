package tincan

// unixgramTransport opens Unix datagram sockets.
type unixgramTransport struct{}
