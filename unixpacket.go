package tincan

// unixpacketTransport opens Unix sockets of type SOCK_SEQPACKET: connections
// as of a stream, which carry messages.
type unixpacketTransport struct{}
