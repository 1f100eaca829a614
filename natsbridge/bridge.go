package natsbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/tincan-ipc/tincan/pattern"
)

// A Bridge joins sockets of package pattern with NATS. The zero value works; its fields must not change once
// one of its methods was called. The methods may be called at once. They close neither the socket nor the connection.
//
// # Loops
//
// Each message that a bridge sends to NATS carries the bridges it has been through (the header Tincan-Via). One that
// has been through this bridge, or through [MaxHops] of them, is dropped and told ([ErrLoop]). A ZMTP message has no place for that but its parts:
// where a bridge's socket has another bridge as its peer, which its identity tells, it adds a last part with the headers, and the
// other takes that off again. With a proxy between two bridges neither sees the other: set Headers then.
type Bridge struct {
	// Headers adds a last part with the header Tincan-Via to every message from NATS, as is done for peers that are bridges.
	Headers bool
	// Timeout bounds a request that comes from a socket. Zero or negative means [DefaultTimeout].
	Timeout time.Duration
	// OnStored is told of each message from a socket once a [Queue] has stored it: from then on it is
	// delivered at least once. It is called for one message after the other. Nil is nobody.
	OnStored func(parts [][]byte)
	// OnEvent is told what happens. It may be called at once and must not block. Nil is nobody.
	OnEvent func(Event)

	id    atomic.Pointer[string]
	peers atomic.Int64 // those that are bridges
}

// MaxHops is how many bridges a message may go through.
const MaxHops = 8

// bridgeIdentity begins the identity of a bridge's sockets.
const bridgeIdentity = "tincan-bridge-"

// ID names this bridge to others: it is made up.
func (b *Bridge) ID() string {
	if id := b.id.Load(); id != nil {
		return *id
	}
	id := nuid.Next()
	b.id.CompareAndSwap(nil, &id)
	return *b.id.Load()
}

// SocketOptions gives a copy of o, which may be nil, for the sockets of this bridge: with an identity by which other
// bridges know it, and an OnEvent by which this one knows them. A socket that is joined must have been made with it.
func (b *Bridge) SocketOptions(o *pattern.Options) *pattern.Options {
	var c pattern.Options
	if o != nil {
		c = *o
	}
	if len(c.Identity) == 0 {
		c.Identity = []byte(bridgeIdentity + b.ID())
	}
	tell := c.OnEvent
	c.OnEvent = func(e pattern.Event) {
		if e.Peer != nil && bytes.HasPrefix(e.Peer.Identity, []byte(bridgeIdentity)) {
			switch e.Kind {
			case pattern.EventConnected, pattern.EventAccepted:
				b.peers.Add(1)
			case pattern.EventDisconnected:
				b.peers.Add(-1)
			}
		}
		if tell != nil {
			tell(e)
		}
	}
	return &c
}

func (b *Bridge) event(e Event) {
	if b.OnEvent != nil {
		b.OnEvent(e)
	}
}

// drop tells of a message that is not passed on.
func (b *Bridge) drop(err error) { b.event(Event{Kind: EventDropped, Messages: 1, Err: err}) }

// fromSocket makes parts those of m, which goes to NATS. A message that goes in a loop is ErrLoop.
func (b *Bridge) fromSocket(m *nats.Msg, parts [][]byte) error {
	via := ""
	if n := len(parts); n > 0 {
		if block, ok := bytes.CutPrefix(parts[n-1], []byte(viaLine)); ok {
			// What another bridge put there: its Via, and the headers that follow.
			line, rest, _ := bytes.Cut(block, []byte("\r\n"))
			via = string(line)
			parts = parts[:n-1]
			if string(rest) != "\r\n" {
				parts = append(parts[:n-1:n-1], append([]byte(headerLine), rest...))
			}
		}
	}
	setParts(m, parts)
	return b.pass(m, via)
}

// viaLine begins the last part that a bridge puts behind a message for another.
const viaLine = headerLine + headerVia + ": "

// pass notes in m that it goes through this bridge, after those of via.
func (b *Bridge) pass(m *nats.Msg, via string) error {
	if via == "" {
		via = b.ID()
	} else {
		if b.isLoop(via) {
			return ErrLoop
		}
		via += "," + b.ID()
	}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header[headerVia] = []string{via}
	return nil
}

func (b *Bridge) isLoop(via string) bool {
	return strings.Contains(via, b.ID()) || strings.Count(via, ",")+1 >= MaxHops
}

// toSocket gives the parts of m, which goes to a socket; with a mark where that goes on to another bridge.
// A message that goes in a loop is ErrLoop.
func (b *Bridge) toSocket(m *nats.Msg) ([][]byte, error) {
	via := ""
	if len(m.Header) > 0 {
		if via = strings.Join(m.Header[headerVia], ","); via != "" && b.isLoop(via) {
			return nil, ErrLoop
		}
	}
	parts, err := partsOf(m)
	if err != nil || !b.Headers && b.peers.Load() == 0 {
		return parts, err
	}
	if via != "" {
		via += ","
	}
	mark := []byte(viaLine + via + b.ID() + "\r\n")
	if n := len(parts); n > 1 { // the headers of the message, if there are any, join the mark
		if _, ok := parseHeaders(parts[n-1]); ok {
			mark = append(mark, parts[n-1][len(headerLine):]...)
			return append(parts[:n-1:n-1], mark), nil
		}
	}
	return append(parts, append(mark, "\r\n"...)), nil
}

// Publish passes on what from, a Sub or XSub, receives to the subjects of its topics under base, at most once, until ctx ends. What
// it is to receive is for the caller to subscribe to. The error is nil after ctx ended, else the socket's.
func (b *Bridge) Publish(ctx context.Context, from pattern.Receiver, nc *nats.Conn, base string) error {
	p := NewPublisher(nc, base)
	for {
		m, err := from.Borrow(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		msg := nats.Msg{Subject: p.subject(m.Parts[0])}
		if err = b.fromSocket(&msg, m.Parts[1:]); err == nil {
			err = p.publish(&msg)
		}
		m.Release()
		if err != nil {
			b.drop(err) // what is lost is lost, as with a Pub
		}
	}
}

// unless is err where ctx has not ended.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Subscribe passes on what is published under base, on topics with one of the prefixes, to the socket to, a Pub or XPub, at most once,
// until ctx ends. All topics come without a prefix. ready, unless it is nil, is called once they come. The error is nil after ctx ended, else
// the connection's or the socket's.
func (b *Bridge) Subscribe(ctx context.Context, nc *nats.Conn, base string, to pattern.Sender, ready func(), prefixes ...string) error {
	s, err := NewSubscriber(ctx, nc, base, prefixes...)
	if err != nil {
		return unless(ctx, err)
	}
	defer s.Close()
	if ready != nil {
		ready()
	}
	var dropped uint64
	var topic []byte // its memory serves one message after the other
	for n := 0; ; n++ {
		if n%1024 == 0 {
			dropped = b.tellDropped(s, dropped)
		}
		var m *nats.Msg
		if m, topic, err = s.next(ctx, topic[:0]); err != nil {
			b.tellDropped(s, dropped)
			return unless(ctx, err)
		}
		parts, err := b.toSocket(m)
		if err != nil {
			b.drop(framingError(m.Subject, err))
			continue
		}
		if err := to.Send(ctx, append([][]byte{topic}, parts...)...); err != nil {
			return unless(ctx, err)
		}
	}
}

// tellDropped tells of messages that s has dropped since it had dropped n.
func (b *Bridge) tellDropped(s *Subscriber, n uint64) uint64 {
	now := s.Dropped()
	if now > n {
		b.event(Event{Kind: EventDropped, Messages: int(now - n), Err: fmt.Errorf("%s: %w", s.topics.Base, nats.ErrSlowConsumer)})
	}
	return now
}

// Ask passes on each request that from receives to whoever serves subject, and the reply back, up to
// [DefaultHandlers] at once, until ctx ends and those under way are answered. A request that fails ends the connection of its peer, so that who
// asked learns of it. The error is nil after ctx ended, else the socket's.
func (b *Bridge) Ask(ctx context.Context, from Replier, nc *nats.Conn, subject string) error {
	slots := make(chan struct{}, DefaultHandlers)
	defer func() {
		for range cap(slots) { // until all are done
			slots <- struct{}{}
		}
	}()
	inner := context.WithoutCancel(ctx)
	for {
		r, err := from.Recv(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := b.ask(inner, r, nc, subject); err != nil {
				b.drop(err)
				r.Refuse(err)
			}
		}()
	}
}

// A Replier is a socket that receives requests: a Rep or a Server.
type Replier interface {
	Recv(ctx context.Context) (*pattern.Request, error)
}

// timeout is Timeout or its default.
func (b *Bridge) timeout() time.Duration {
	if b.Timeout > 0 {
		return b.Timeout
	}
	return DefaultTimeout
}

func (b *Bridge) ask(ctx context.Context, r *pattern.Request, nc *nats.Conn, subject string) error {
	m := &nats.Msg{Subject: subject}
	if err := b.fromSocket(m, r.Parts); err != nil {
		return err
	}
	reply, err := exchange(ctx, nc, m, &RequestOptions{Timeout: b.timeout()})
	if err != nil {
		return err
	}
	parts, err := partsOf(reply)
	if err != nil {
		return framingError(subject, err)
	}
	if err := r.Reply(parts...); !errors.Is(err, pattern.ErrUnroutable) {
		return err
	}
	return nil // who asked has gone, which is counted
}

// Answer serves subject by asking the peers of to, until ctx ends and what has come is answered. A request that no peer answers is
// answered with the error. o may be nil. The rest is as for [Serve].
func (b *Bridge) Answer(ctx context.Context, nc *nats.Conn, subject string, to *pattern.Client, o *ServeOptions) error {
	return serve(ctx, nc, subject, o, func(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
		parts, err := b.toSocket(m)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, b.timeout())
		defer cancel()
		got, err := to.Request(ctx, parts...)
		if err != nil {
			return nil, err
		}
		reply := &nats.Msg{}
		setParts(reply, got)
		return reply, nil
	})
}
