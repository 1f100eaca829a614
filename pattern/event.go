package pattern

import (
	"errors"
	"fmt"
	"time"
)

// An Event is something that happened to a socket.
type Event struct {
	Kind EventKind
	// Endpoint is the URL that is listened on or was dialled.
	Endpoint string
	// Peer is the peer that it happened to, as far as it is known: of one whose
	// handshake isn't done only Address and Dialled are set. It is nil for a listener and for a dial that failed.
	Peer *PeerInfo
	// Err says why. What the peer did against the protocol is a [*zmtp.ProtocolError] or one of this package's errors.
	Err error
	// Attempt and Wait are for EventRetrying: how many attempts failed, and the wait before the next.
	Attempt int
	Wait    time.Duration
	// Messages is how many messages EventDropped is about.
	Messages int
}

// An EventKind tells what happened.
type EventKind int

// The kinds of events.
const (
	// EventListening: Endpoint is bound.
	EventListening EventKind = iota + 1
	// EventAcceptFailed: a listener ended by itself; Err says why.
	EventAcceptFailed
	// EventConnected: a dialled peer has done its handshake, and messages can pass.
	EventConnected
	// EventAccepted: the same for a peer that dialled.
	EventAccepted
	// EventHandshakeFailed: a connection ended before its handshake was done.
	EventHandshakeFailed
	// EventRefused: a peer whose handshake was done was turned away by a rule of the socket's type, which Err names.
	EventRefused
	// EventDisconnected: a peer is gone. Err is nil where it ended in order.
	EventDisconnected
	// EventRetrying: an endpoint that was dialled failed, and is tried again after Wait.
	EventRetrying
	// EventDropped: messages to or from Peer were dropped.
	EventDropped
)

var eventNames = [...]string{
	"unknown", "listening", "accept failed", "connected", "accepted", "handshake failed", "refused", "disconnected", "retrying", "dropped",
}

// String gives the kind in words.
func (k EventKind) String() string {
	if k < 0 || int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Errors of this package, to be tested with [errors.Is].
var (
	// ErrUnroutable is a message for a peer that a Router, a Rep or a Server doesn't have (any more). It was not sent.
	ErrUnroutable = errors.New("no such peer")
	// ErrPeerLost is a request whose peer went before it had answered, and may or may not have handled
	// it; or a message that was dropped because its peer went.
	ErrPeerLost = errors.New("the peer was lost")
	// ErrReplied is a second reply to one request.
	ErrReplied = errors.New("the request has had its reply")
	// ErrDuplicateIdentity is a peer with the identity of another.
	ErrDuplicateIdentity = errors.New("another peer has this identity (28/REQREP)")
	// ErrPaired is a second peer of a Pair.
	ErrPaired = errors.New("the pair has its peer (31/EXPAIR)")
	// ErrHeartbeat is a peer from which nothing came in time.
	ErrHeartbeat = errors.New("nothing came from the peer in time (37/ZMTP, Connection Heartbeating)")
	// ErrMessageTooLong is a received message over MaxMessage or MaxParts.
	ErrMessageTooLong = errors.New("message over the limit")
	// ErrNoDelimiter is a received message without the empty frame that ends its envelope. It was dropped.
	ErrNoDelimiter = errors.New("no empty delimiter (28/REQREP)")
	// ErrUnexpectedReply is a reply to a request that was not made, or was given up. It was dropped.
	ErrUnexpectedReply = errors.New("reply to no request")
	// ErrSubscriptionLimit is a peer that subscribed to more than MaxSubscriptions topics, or to one over MaxTopic.
	ErrSubscriptionLimit = errors.New("subscriptions over the limit")
	// ErrNoEndpoint is an Unlisten without its Listen, or an Undial without its Dial.
	ErrNoEndpoint = errors.New("not an endpoint of the socket")
	// ErrNotSubscribed is an Unsubscribe without its Subscribe.
	ErrNotSubscribed = errors.New("not subscribed")
	// ErrQueueFull is a message dropped because its peer's queue was full.
	ErrQueueFull = errors.New("the peer's queue is full")
)

// A DiscardError is a Close that found messages in the queues when Linger had passed.
type DiscardError struct {
	// Messages is how many were discarded.
	Messages int
}

func (e *DiscardError) Error() string {
	return fmt.Sprintf("%d queued messages were discarded", e.Messages)
}
