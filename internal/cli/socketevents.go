package cli

import (
	"errors"
	"fmt"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// socketConfig is what the connections of message sockets start from. Their steps are told by the events of
// the socket, which knows more: only rules that turn a client away, and --trace, are the connection's own.
func (p *program) socketConfig() tincan.Config {
	c := p.config()
	if !p.report.trace {
		c.Trace = &tincan.Trace{Refused: c.Trace.Refused, Pausing: c.Trace.Pausing}
	}
	return c
}

// hopeless gives the error that an attempt to reach a peer will end with
// however often it is made: the peer wants other credentials, or is no peer for this kind of socket.
func hopeless(e pattern.Event) error {
	var handshake *zmtp.HandshakeError
	if e.Kind != pattern.EventHandshakeFailed || e.Peer == nil || !e.Peer.Dialled || !errors.As(e.Err, &handshake) {
		return nil
	}
	if errors.Is(e.Err, zmtp.ErrIncompatible) {
		return &hintedError{error: e.Err, hint: "each kind of socket has its counterpart: pub and sub, push and pull, req and rep, dealer and router, pair and pair"}
	}
	return &deniedError{e.Err}
}

// A deniedError is a peer that refuses this side's mechanism or credentials.
type deniedError struct{ error }

func (e *deniedError) Unwrap() error { return e.error }
func (e *deniedError) Hint() string {
	return "both sides need the same mechanism and matching keys: see --plain and --curve-server-key"
}

// socketEvent reports what happened to a message socket.
func (r *reporter) socketEvent(e pattern.Event) {
	if r.json {
		r.socketEventJSON(e)
		return
	}
	peer := e.Endpoint
	if e.Peer != nil && !e.Peer.Dialled {
		peer = e.Peer.Address
	}
	switch e.Kind {
	case pattern.EventConnected, pattern.EventAccepted:
		if r.trace {
			r.step(fmt.Sprintf("%s %s", e.Kind, peer), "", fmt.Sprintf("%s, ZMTP %d.%d, %s", e.Peer.Type, e.Peer.Major, e.Peer.Minor, e.Peer.Mechanism))
		}
	case pattern.EventHandshakeFailed, pattern.EventRefused, pattern.EventAcceptFailed:
		r.note("%s %s: %v", e.Kind, peer, e.Err)
	case pattern.EventDisconnected:
		if e.Err != nil {
			r.note("lost %s: %v", peer, e.Err)
		} else if r.trace {
			r.step("end of "+peer, "read(2) = 0", fmt.Sprintf("received %d messages, sent %d", e.Peer.Received, e.Peer.Sent))
		}
	case pattern.EventRetrying:
		if e.Attempt <= 1 || r.trace { // it goes on for ever, and once is enough to know
			r.note("%v; trying again until it works", e.Err)
		}
	case pattern.EventDropped:
		r.note("dropped %d of the messages to or from %s: %v", e.Messages, peer, e.Err)
	}
}

// socketEventNames are the names of events in JSON.
var socketEventNames = map[pattern.EventKind]string{
	pattern.EventConnected:       "connected",
	pattern.EventAccepted:        "accepted",
	pattern.EventHandshakeFailed: "refused",
	pattern.EventRefused:         "refused",
	pattern.EventAcceptFailed:    "error",
	pattern.EventDisconnected:    "closed",
	pattern.EventRetrying:        "retrying",
	pattern.EventDropped:         "dropped",
}

func (r *reporter) socketEventJSON(e pattern.Event) {
	kind, ok := socketEventNames[e.Kind]
	if !ok {
		return
	}
	line := event{Event: kind, URL: e.Endpoint, Attempt: e.Attempt, Seconds: e.Wait.Seconds(), Messages: e.Messages, Error: text(e.Err)}
	if e.Err != nil {
		line.Kind = kindOf(e.Err).String()
	}
	if e.Peer != nil {
		line.Remote = e.Peer.Address
		line.Type = e.Peer.Type.String()
		line.Identity = fmt.Sprintf("%q", e.Peer.Identity)
		if e.Kind == pattern.EventDisconnected {
			received, sent := int64(e.Peer.ReceivedBytes), int64(e.Peer.SentBytes) //nolint:gosec // counts of bytes
			line.Received, line.Sent = &received, &sent
		}
	}
	r.emit(line)
}
