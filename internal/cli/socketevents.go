package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
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

// A socketTeller tells what happens to a message socket, and gives up where that will never do.
type socketTeller struct {
	report *reporter
	giveUp context.CancelCauseFunc

	mu   sync.Mutex          // guards what follows
	told map[string]dialling // by endpoint
}

// dialling is how it goes with an endpoint that is dialled and not reached.
type dialling struct {
	failure string // the last that was told: it may come again for ever
	cut     int    // handshakes in a row that the peer has cut short
}

func (t *socketTeller) event(e pattern.Event) {
	repeated := t.note(e)
	err := t.hopeless(e)
	switch {
	case t.report.json:
		t.report.socketEventJSON(e)
	case err == nil && !repeated:
		t.report.socketEvent(e)
	}
	if err != nil {
		t.giveUp(err)
	}
}

// note keeps account of the endpoints that are dialled, and reports whether e only says again what was said.
func (t *socketTeller) note(e pattern.Event) (repeated bool) {
	dialled := e.Kind == pattern.EventRetrying || e.Peer != nil && e.Peer.Dialled
	if !dialled {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == nil {
		t.told = map[string]dialling{}
	}
	d := t.told[e.Endpoint]
	switch e.Kind {
	case pattern.EventConnected:
		d = dialling{}
	case pattern.EventHandshakeFailed, pattern.EventRetrying:
		failure := text(e.Err)
		repeated = failure == "" || failure == d.failure
		d.failure = failure
		if e.Kind == pattern.EventHandshakeFailed && errors.Is(e.Err, io.ErrUnexpectedEOF) {
			d.cut++
		}
	}
	t.told[e.Endpoint] = d
	return repeated && !t.report.trace
}

// manyCuts is how often a peer may cut a handshake short before that counts as a refusal. A CURVE server says
// nothing else to a client with the wrong key for it; one that is just ending, once.
const manyCuts = 3

// hopeless gives the error that an attempt to reach a peer will end with
// however often it is made: the peer wants other credentials, or is none for this kind of socket.
func (t *socketTeller) hopeless(e pattern.Event) error {
	if e.Kind != pattern.EventHandshakeFailed || e.Peer == nil || !e.Peer.Dialled {
		return nil
	}
	t.mu.Lock()
	cut := t.told[e.Endpoint].cut
	t.mu.Unlock()
	var handshake *zmtp.HandshakeError
	switch {
	case errors.Is(e.Err, zmtp.ErrIncompatible):
		return &hintedError{
			error: fmt.Errorf("%s: %w", e.Endpoint, e.Err),
			hint:  "each kind of socket has its counterpart: pub and sub, push and pull, req and rep, dealer and router, pair and pair",
		}
	case errors.As(e.Err, &handshake), cut >= manyCuts:
		return &deniedError{endpoint: e.Endpoint, err: e.Err}
	}
	return nil
}

// A deniedError is a peer that refuses this side's mechanism or credentials.
type deniedError struct {
	endpoint string
	err      error
}

func (e *deniedError) Error() string { return fmt.Sprintf("%s: %v", e.endpoint, e.err) }
func (e *deniedError) Unwrap() error { return e.err }
func (e *deniedError) Hint() string {
	return "both sides need the same mechanism and matching keys: see --plain and --curve-server-key"
}

// socketEvent tells what happened in words, where it is worth any.
func (r *reporter) socketEvent(e pattern.Event) {
	peer := e.Endpoint
	if e.Peer != nil && !e.Peer.Dialled && e.Peer.Address != "@" {
		peer = e.Peer.Address
	}
	switch e.Kind {
	case pattern.EventConnected, pattern.EventAccepted:
		if r.trace {
			r.step(narrate.Joined(e, peer))
		}
	case pattern.EventHandshakeFailed, pattern.EventRefused, pattern.EventAcceptFailed:
		r.note("%s, %s: %v", peer, e.Kind, e.Err)
	case pattern.EventDisconnected:
		if e.Err != nil {
			r.note("%s is lost: %v", peer, e.Err)
		} else if r.trace {
			r.step(narrate.Left(e, peer))
		}
	case pattern.EventRetrying:
		r.note("%v; trying again until it works", e.Err)
	case pattern.EventDropped:
		r.note("%s, dropped %d messages: %v", peer, e.Messages, e.Err)
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
		if e.Kind != pattern.EventHandshakeFailed { // which would have told
			line.Type, line.Identity = e.Peer.Type.String(), identityText(e.Peer.Identity)
		}
		if e.Kind == pattern.EventDisconnected {
			received, sent := int64(e.Peer.ReceivedBytes), int64(e.Peer.SentBytes)
			line.Received, line.Sent = &received, &sent
		}
	}
	r.emit(line)
}

// identityText is an identity as JSON can hold it: as it is, or as hexadecimal digits where it isn't text, as those that a router makes up.
func identityText(identity []byte) string {
	if utf8.Valid(identity) && !bytes.Contains(identity, []byte{0}) {
		return string(identity)
	}
	return hex.EncodeToString(identity)
}
