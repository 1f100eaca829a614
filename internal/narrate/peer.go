package narrate

import (
	"fmt"

	"github.com/tincan-ipc/tincan/pattern"
)

// Joined tells that the peer of a message socket, called name, has done its handshake.
func Joined(e pattern.Event, name string) Step {
	return Step{
		Kind: Handshake, What: fmt.Sprintf("%s %s", e.Kind, name), Layer: "zmtp",
		Result: fmt.Sprintf("%s, ZMTP %d.%d, %s", e.Peer.Type, e.Peer.Major, e.Peer.Minor, e.Peer.Mechanism),
	}
}

// Left tells that the peer of a message socket, called name, has ended in order.
func Left(e pattern.Event, name string) Step {
	return Step{
		Kind: Close, What: "end of " + name, Call: "read(2) = 0",
		Result: fmt.Sprintf("received %d messages, sent %d", e.Peer.Received, e.Peer.Sent),
	}
}
