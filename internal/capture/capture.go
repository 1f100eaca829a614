// Package capture records connections of any family into a pcapng file that
// Wireshark opens, and plays recordings back.
//
// # Writing
//
// A [Writer] makes up the packets: each [Connection] shows as one TCP
// connection, or as one exchange of UDP datagrams, from its first to its last byte, so that
// "Follow TCP stream" gives exactly what passed. Addresses and ports are the real ones where
// both sides have such; what has none (unix, mem, vsock, stdio) gets one of the documentation ranges
// (RFC 5737, RFC 3849), unique to the connection. The endpoints' own names stand in the comment of
// the connection's first packet.
//
// Messages are UDP datagrams where one of the sides is udp. Of other families, whose
// messages may be longer than a datagram and which have an end, they are TCP segments, and the PSH flag
// marks the last segment of each message: the stream is the messages' bytes and nothing else.
//
// # Reading
//
// [Open] reads such files, and those of tcpdump, dumpcap and Wireshark, into [Flow] values: what each side
// sent, when and in which order, after retransmissions and fragments have been put in place. [Replay]
// and [ReplayMessages] play one side of a Flow to a peer and compare its answer with the other side's.
package capture

// A Kind tells what passes over a connection.
type Kind int

// The kinds of connection.
const (
	Stream   Kind = iota // bytes, of any cut
	Messages             // bounded units, the empty one too
)

// String gives "stream" or "messages".
func (k Kind) String() string {
	if k == Messages {
		return "messages"
	}
	return "stream"
}

// A Side is one party of a connection, and the direction of what it sends.
type Side int

// The sides of a connection. The first is the one that began it: the client.
const (
	First Side = iota
	Second
)

// Other gives the opposite side.
func (s Side) Other() Side { return 1 - s }

// String gives "first" or "second".
func (s Side) String() string {
	if s == First {
		return "first"
	}
	return "second"
}

// An Op is what an [Event] is about.
type Op int

// What can happen on a connection.
const (
	Data  Op = iota // bytes of a stream, or one message
	End             // a half-close: the side sends no more
	Reset           // the side aborted the connection
)

// String gives "data", "end" or "reset".
func (o Op) String() string { return [...]string{"data", "end", "reset"}[o] }
