package pattern

import "github.com/tincan-ipc/tincan/zmtp"

// Counters count messages, since the socket was made or the peer came.
type Counters struct {
	// Sent are the messages that were queued for a peer, Received those that were handed to the program.
	// One that lost its peer and went to another counts for both.
	Sent, Received uint64
	// SentBytes and ReceivedBytes are theirs, with frame headers, before encryption.
	SentBytes, ReceivedBytes uint64
	// Dropped are the messages, of either direction, that were lost here: for a queue that
	// was full, a peer that went, or a fault in them.
	Dropped uint64
}

func (c *Counters) add(o Counters) {
	c.Sent += o.Sent
	c.Received += o.Received
	c.SentBytes += o.SentBytes
	c.ReceivedBytes += o.ReceivedBytes
	c.Dropped += o.Dropped
}

// Stats is the state of a socket.
type Stats struct {
	Counters
	// Peers is how many there are now, Connects how many there have been.
	Peers, Connects int
	// Queued are the messages that wait to be sent, Waiting those that wait to be received.
	Queued, Waiting int
	// Unroutable counts messages for peers that weren't there, Refused the peers turned away
	// by a rule of the type, HandshakesFailed the connections that ended before.
	Unroutable, Refused, HandshakesFailed uint64
}

// PeerInfo describes one peer.
type PeerInfo struct {
	// ID tells the connections of one socket apart. It grows with each.
	ID uint64
	// Address is the peer's address: of one that was dialled the endpoint.
	Address string
	// Endpoint is the URL that is listened on or was dialled.
	Endpoint string
	// Dialled tells whether this socket dialled.
	Dialled bool
	// Type, Identity, Minor version and so on are what the handshake told. User is that of PLAIN,
	// Key that of CURVE. For a Router, Identity may be one that was made up.
	zmtp.Peer
	// Queued are the messages that wait to be sent to the peer, QueuedBytes their bytes;
	// Waiting those from it that wait to be received.
	Queued, QueuedBytes, Waiting int
	Counters
}
