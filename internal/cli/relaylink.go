package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/capture"
	"github.com/tincan-ipc/tincan/relay"
)

// A link is one client of a relay and what it is joined with.
type link struct {
	r      *relaying
	client tincan.Conn // as it was accepted or opened
	single bool        // its end is the command's
	// endless is set where the client has no end: when the relay stops it is served until it is silent.
	endless bool

	mu          sync.Mutex // guards what follows until join has returned
	cancel      context.CancelCauseFunc
	stopWaiting func() bool // stops the signal from ending it; nil unless it waits
	target      string
	result      relay.Result
	record      *capture.Connection // nil without

	received, sent atomic.Int64 // bytes from and to the client, as they pass
}

func newLink(r *relaying, client tincan.Conn, single bool) *link {
	return &link{r: r, client: client, single: single}
}

// errProgramEnded ends a client whose program has ended, where there is no gentler way.
var errProgramEnded = errors.New("the program has ended")

// handle has join relay the client of l and accounts for how it ended.
func (r *relaying) handle(ctx context.Context, l *link, join func(ctx context.Context) error) error {
	ctx, cancelTimeout := r.flags.bounded(ctx)
	defer cancelTimeout()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.mu.Lock()
	l.cancel = cancel
	l.mu.Unlock()
	defer l.joined()
	if r.plan.to[0].isLocal() {
		l.waits()
	}
	if l.endless {
		defer context.AfterFunc(r.stopping, func() { l.cutWhenSilent(ctx) })()
	}
	r.counts.opened()
	err := join(ctx)
	side, err := l.reason(ctx, err)
	r.counts.closed(err)
	l.endRecord(side, err)
	l.tell(side, err)
	return err
}

// waits is told when the client has to wait for its target, who knows how long: until it is joined a signal is its end.
// One whose target is being dialled for the first time is in flight, as is what it sent.
func (l *link) waits() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopWaiting == nil && !l.single {
		l.stopWaiting = context.AfterFunc(l.r.stopping, func() { l.cut(context.Cause(l.r.stopping)) })
	}
}

// joined is told when the target stands: from here on a signal lets the client finish.
func (l *link) joined() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopWaiting != nil {
		l.stopWaiting()
	}
}

// cut ends the link at once.
func (l *link) cut(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel(cause)
}

// cutWhenSilent ends the link when nothing passes for a moment.
func (l *link) cutWhenSilent(ctx context.Context) {
	for passed := int64(-1); passed != l.received.Load()+l.sent.Load(); {
		passed = l.received.Load() + l.sent.Load()
		select {
		case <-time.After(flowQuiet):
		case <-ctx.Done():
			return
		}
	}
	l.cut(errDrained)
}

// flowQuiet is how long a datagram peer must be silent to be finished with when the relay stops.
const flowQuiet = 200 * time.Millisecond

// clientName is how the client is called in words.
func (l *link) clientName() string {
	if l.r.plan.from.isLocal() && l.single {
		return l.r.plan.from.word
	}
	return name(l.client.RemoteAddr())
}

// reason makes of the error that a join gave what is to be said, and which side failed: "from", "to" or neither.
func (l *link) reason(ctx context.Context, err error) (side string, _ error) {
	var (
		end   *relay.EndError
		local *localError
		prog  *programError
	)
	if err == nil || errors.Is(err, errProgramEnded) {
		return "", nil
	}
	if errors.As(err, &prog) {
		return "to", err
	}
	isEnd := errors.As(err, &end)
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &local):
		return local.side, cause
	case cause != nil && !isEnd:
		if errors.Is(cause, context.Canceled) {
			cause = errDrained
		}
		if limit := (*timeoutError)(nil); errors.As(cause, &limit) && !errors.Is(err, cause) {
			cause = &timeoutError{what: limit.what, after: limit.after, last: err}
		}
		return "", cause
	case !isEnd:
		if tincan.KindOf(err) == tincan.KindConnect {
			side = "to"
		}
		return side, err
	}
	side, who, blamed := "to", l.target, &l.r.plan.to[0]
	if end.First() {
		side, who, blamed = "from", "the client", &l.r.plan.from
		if l.single {
			who = blamed.word
		}
	}
	if own := ownError(blamed, side, end); own != nil {
		return side, own
	}
	return side, sayWho(who, end.Err)
}

// tell tells how the link ended; the end of a single transfer is the command's to tell.
func (l *link) tell(side string, err error) {
	report, received, sent := l.r.report, l.result.Forward, l.result.Backward
	switch {
	case report.json:
		e := event{Event: "closed", Local: name(l.client.LocalAddr()), Remote: l.clientName(), URL: l.target, Side: side, Received: &received, Sent: &sent}
		if err != nil {
			e.Error, e.Kind = err.Error(), kindOf(err).String()
		}
		report.emit(e)
	case report.trace:
		what := fmt.Sprintf("close %s and %s", l.clientName(), l.target)
		report.step(what, "close(2)", outcome(fmt.Sprintf("received %d, sent %d", received, sent), 0, err))
	case err != nil && !l.single && l.r.only == nil && !errors.Is(err, errDrained) && !errors.As(err, new(interruptError)):
		report.note("client %s: %v", l.clientName(), err)
	}
}

// linkOf finds the link of a client as it was given to the joiner.
func (r *relaying) linkOf(client tincan.Conn) *link {
	if c, ok := client.(*linkedStream); ok {
		return c.link
	}
	l, _ := r.links.Load(client)
	return l.(*link)
}

// joinMessages relays messages. The connection is handed on as it is, so that many messages can pass in one system call.
func (l *link) joinMessages(conn tincan.MessageConn) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		l.r.links.Store(conn, l)
		defer l.r.links.Delete(conn)
		return l.r.to.Message(ctx, conn)
	}
}

// countMessages is a tap that counts what passes.
func (l *link) countMessages(d relay.Direction, p []byte) {
	if d == relay.Forward {
		l.count(int64(len(p)), 0)
	} else {
		l.count(0, int64(len(p)))
	}
}

// A linkedStream is a client's byte stream. It counts what passes, as it does.
type linkedStream struct {
	net.Conn
	link *link
}

// Unwrap shows the capability functions, and what splices, the connection inside.
func (c *linkedStream) Unwrap() tincan.Conn { return c.Conn }

// Passed counts what package relay moves on the socket itself.
func (c *linkedStream) Passed(received, sent int64) { c.link.count(received, sent) }

func (c *linkedStream) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.link.count(int64(n), 0)
	return n, err
}

func (c *linkedStream) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.link.count(0, int64(n))
	return n, err
}

func (l *link) count(received, sent int64) {
	l.received.Add(received)
	l.sent.Add(sent)
	l.r.counts.forward.Add(received)
	l.r.counts.backward.Add(sent)
}
