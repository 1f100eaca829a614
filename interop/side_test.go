//go:build linux

package interop

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// A socket is what all of package pattern's have in common.
type socket interface {
	Listen(ctx context.Context, endpoint string) (net.Addr, error)
	Dial(endpoint string) error
	WaitPeers(ctx context.Context, n int) error
	Peers() []pattern.PeerInfo
	Stats() pattern.Stats
	Close() error
}

// A side is our side of a conversation: a socket of package pattern, and what its type can do.
type side struct {
	socket
	t         *testing.T
	row       row
	gone      chan struct{}   // a peer was lost
	ctx       context.Context // ends when a test has surely failed
	send      func(ctx context.Context, parts ...[]byte) error
	recv      func(ctx context.Context) ([][]byte, error)
	request   func(ctx context.Context, parts ...[]byte) ([][]byte, error)
	requested func(ctx context.Context) (*pattern.Request, error)
	// What a publisher and a subscriber have beside.
	waitSubscribers        func(ctx context.Context, n int) error
	subscribe, unsubscribe func(prefix string) error
	following              *string // what the subscriber has subscribed to
}

// sockets make one of a type.
var sockets = map[string]func(*pattern.Options) socket{
	"req":    func(o *pattern.Options) socket { return pattern.NewReq(o) },
	"client": func(o *pattern.Options) socket { return pattern.NewClient(o) },
	"rep":    func(o *pattern.Options) socket { return pattern.NewRep(o) },
	"server": func(o *pattern.Options) socket { return pattern.NewServer(o) },
	"dealer": func(o *pattern.Options) socket { return pattern.NewDealer(o) },
	"router": func(o *pattern.Options) socket { return pattern.NewRouter(o) },
	"pair":   func(o *pattern.Options) socket { return pattern.NewPair(o) },
	"push":   func(o *pattern.Options) socket { return pattern.NewPush(o) },
	"pull":   func(o *pattern.Options) socket { return pattern.NewPull(o) },
	"pub":    func(o *pattern.Options) socket { return pattern.NewPub(o) },
	"xpub":   func(o *pattern.Options) socket { return pattern.NewXPub(o) },
	"sub":    func(o *pattern.Options) socket { return pattern.NewSub(o) },
	"xsub":   func(o *pattern.Options) socket { return pattern.NewXSub(o) },
}

// can notes what the socket's type has.
func (us *side) can() {
	if s, ok := us.socket.(interface {
		Send(ctx context.Context, parts ...[]byte) error
	}); ok {
		us.send = s.Send
	}
	if s, ok := us.socket.(interface {
		Recv(ctx context.Context) ([][]byte, error)
	}); ok {
		us.recv = s.Recv
	}
	if s, ok := us.socket.(interface {
		Request(ctx context.Context, parts ...[]byte) ([][]byte, error)
	}); ok {
		us.request = s.Request
	}
	if s, ok := us.socket.(interface {
		Recv(ctx context.Context) (*pattern.Request, error)
	}); ok {
		us.requested = s.Recv
	}
	if s, ok := us.socket.(interface {
		WaitSubscribers(ctx context.Context, n int) error
	}); ok {
		us.waitSubscribers = s.WaitSubscribers
	}
	if s, ok := us.socket.(interface {
		Subscribe(prefix string) error
		Unsubscribe(prefix string) error
	}); ok {
		us.subscribe, us.unsubscribe = s.Subscribe, s.Unsubscribe
	}
}

func newSide(t *testing.T, r row, security zmtp.Mechanism) *side {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	us := &side{t: t, row: r, gone: make(chan struct{}, 16), ctx: ctx}
	o := &pattern.Options{
		Security: security, Linger: limit,
		SendBytes: 256 << 20, // more than is ever published at once, which a full queue would drop
		OnEvent: func(e pattern.Event) {
			switch e.Kind {
			case pattern.EventDisconnected:
				us.gone <- struct{}{}
			case pattern.EventHandshakeFailed, pattern.EventRefused, pattern.EventDropped:
				t.Logf("%v: %v", e.Kind, e.Err)
			}
		},
	}
	o.Backoff.Min, o.Backoff.Max = 10*time.Millisecond, 100*time.Millisecond // so that the test is quick
	if r.ours == "dealer" || r.ours == "router" {
		o.Identity = []byte("us")
	}
	us.socket = sockets[r.ours](o)
	us.can()
	t.Cleanup(func() {
		cancel()
		_ = us.Close()
	})
	return us
}

// awaitGone waits until the socket has noticed the loss of a peer.
func (us *side) awaitGone() {
	us.t.Helper()
	select {
	case <-us.gone:
	case <-us.ctx.Done():
		us.t.Fatal("the loss of the peer goes unnoticed")
	}
}

// must ends the test on the error of message i.
func (us *side) must(i int, err error) {
	us.t.Helper()
	if err != nil {
		us.t.Fatalf("message %d: %v", i, err)
	}
}

// follow subscribes to what is published in c, and cancels what was before.
func (us *side) follow(c *conversation) {
	us.t.Helper()
	if us.subscribe == nil {
		return
	}
	us.must(-1, us.subscribe(c.topic))
	if us.following != nil {
		us.must(-1, us.unsubscribe(*us.following))
	}
	us.following = &c.topic
}

// converse says and checks our part of c, whose other is said by p.
func (us *side) converse(c *conversation, p *process) {
	us.t.Helper()
	switch {
	case us.waitSubscribers != nil:
		us.publish(c)
	case us.subscribe != nil:
		us.hear(c, p)
	case us.request != nil:
		for i := range sizes {
			reply, err := us.request(us.ctx, c.message(i)...)
			us.must(i, err)
			us.must(i, same(reply, c.message(i)))
		}
	case us.requested != nil:
		for i := range sizes {
			r, err := us.requested(us.ctx)
			us.must(i, err)
			us.must(i, same(r.Parts, c.message(i)))
			us.must(i, r.Reply(r.Parts...))
		}
	case us.row.weAsk:
		us.ask(c)
	case us.recv == nil:
		for i := range sizes {
			us.must(i, us.send(us.ctx, c.message(i)...))
		}
	default:
		us.receive(c)
	}
}

// ask sends all messages, and wants each back.
func (us *side) ask(c *conversation) {
	us.t.Helper()
	us.must(-1, us.WaitPeers(us.ctx, 1))
	var envelope [][]byte
	switch {
	case us.row.ours == "router":
		envelope = [][]byte{[]byte("peer")}
	case us.row.peer == "rep":
		envelope = [][]byte{{}}
	}
	message := func(i int) [][]byte { return append(envelope[:len(envelope):len(envelope)], c.message(i)...) }
	sent := make(chan error, 1)
	go func() {
		for i := range sizes {
			if err := us.send(us.ctx, message(i)...); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range sizes {
		got, err := us.recv(us.ctx)
		us.must(i, err)
		us.must(i, same(got, message(i)))
	}
	us.must(-1, <-sent)
}

// receive checks all messages, and returns those of a type that answers.
func (us *side) receive(c *conversation) {
	us.t.Helper()
	for i := range sizes {
		got, err := us.recv(us.ctx)
		us.must(i, err)
		if us.send != nil {
			us.must(i, us.send(us.ctx, got...))
		}
		if us.row.ours == "router" { // the envelope, which the peer checks
			got = got[len(got)-c.parts:]
		}
		us.must(i, same(got, c.message(i)))
	}
}

// publish sends all messages to a subscriber, and among them what it hasn't subscribed to.
func (us *side) publish(c *conversation) {
	us.t.Helper()
	us.must(-1, us.waitSubscribers(us.ctx, 1))
	for us.recv != nil { // an XPub sees who subscribes, and who has cancelled
		event, err := us.recv(us.ctx)
		us.must(-1, err)
		if len(event) == 1 && string(event[0]) == "\x01"+c.topic {
			break
		}
		us.must(-1, same(event, [][]byte{{0}})) // of the first round
	}
	for i := range sizes {
		if c.topic != "" {
			us.must(i, us.send(us.ctx, []byte("~other")))
		}
		us.must(i, us.send(us.ctx, c.message(i)...))
	}
}

// hear checks all messages of a publisher. A PUB can't know that we have subscribed: it
// sends TOPIC? until it is told that one has come.
func (us *side) hear(c *conversation, p *process) {
	us.t.Helper()
	told := us.row.peer != "pub"
	for i := 0; i < len(sizes); {
		got, err := us.recv(us.ctx)
		us.must(i, err)
		if !told {
			p.say("go\n")
			told = true
		}
		if len(got) == 1 && string(got[0]) == c.topic+"?" {
			continue
		}
		us.must(i, same(got, c.message(i)))
		i++
	}
}
