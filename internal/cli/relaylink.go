package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/capture"
	"github.com/tincan-ipc/tincan/internal/local"
	"github.com/tincan-ipc/tincan/internal/narrate"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
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
	release     func()      // what else begin has begun
	stopWaiting func() bool // stops the signal from ending it; nil unless it waits
	target      string
	result      relay.Result
	record      *capture.Connection // nil without

	traffic         // from and to the client, as it passes
	entry   *client // among the clients that are here, nil where nobody looks
}

func newLink(r *relaying, client tincan.Conn, single bool) *link {
	return &link{r: r, client: client, single: single}
}

// errProgramEnded ends a client whose program has ended, where there is no gentler way.
var errProgramEnded = errors.New("the program has ended")

// relayStream relays the byte stream of l's client, which in a relay of messages carries them framed.
func (l *link) relayStream(ctx context.Context, conn net.Conn) (err error) {
	ctx = l.begin(ctx)
	defer l.end(ctx, &err)
	if l.r.plan.messages {
		return l.join(ctx, newFramedConn(l.guarded(conn), l.r.plan.framing))
	}
	return l.r.to.Stream(ctx, &linkedStream{l.guarded(conn), l})
}

// guarded has what fails of a local end, which is no peer, end l at once.
func (l *link) guarded(conn net.Conn) net.Conn {
	if c, ok := conn.(*local.Conn); ok {
		return &localSide{Conn: c, word: l.r.plan.from.word, failed: l.cut}
	}
	return conn
}

// relayMessages relays the messages of l's client. They are handed on as they are, so that many can pass in one system call.
func (l *link) relayMessages(ctx context.Context, conn tincan.MessageConn) (err error) {
	ctx = l.begin(ctx)
	defer l.end(ctx, &err)
	return l.join(ctx, conn)
}

func (l *link) join(ctx context.Context, conn tincan.MessageConn) error {
	l.r.links.Store(conn, l)
	defer l.r.links.Delete(conn)
	return l.r.to.Message(ctx, conn)
}

// begin gives the context in which l is relayed, and begins to account for it.
func (l *link) begin(ctx context.Context) context.Context {
	ctx, cancelTimeout := l.r.flags.bounded(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	l.cancel = cancel
	l.mu.Unlock()
	l.release = cancelTimeout
	if l.endless {
		forget := context.AfterFunc(l.r.stopping, func() { l.cutWhenSilent(ctx) })
		l.release = func() {
			forget()
			cancelTimeout()
		}
	}
	if l.r.plan.to[0].isLocal() {
		l.waits()
	}
	l.entry = l.r.served.enter(l.client, &l.traffic)
	return ctx
}

// end is deferred. It accounts for how l ended, which err is to tell. A panic ends l alone.
func (l *link) end(ctx context.Context, err *error) {
	if value := recover(); value != nil {
		*err = &service.PanicError{Value: value, Stack: debug.Stack()}
	}
	l.joined()
	l.release()
	side, reason := l.reason(ctx, *err)
	*err = reason
	l.cancel(nil)
	l.r.served.left(l.entry, reason)
	l.entry.shown().End(reason, side == "to")
	l.endRecord(side, reason)
	l.tell(side, reason)
	if !l.single {
		l.r.only.ended(reason)
	}
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
		report.step(narrate.Step{
			What: fmt.Sprintf("close %s and %s", l.clientName(), l.target), Call: "close(2)",
			Result: narrate.Outcome(fmt.Sprintf("received %d, sent %d", received, sent), 0, err),
		})
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

// countMessages is a tap that counts what passes.
func (l *link) countMessages(d relay.Direction, p []byte) {
	if d == relay.Forward {
		l.count(int64(len(p)), 0, "recvmsg(2), sendmsg(2)")
	} else {
		l.count(0, int64(len(p)), "sendmsg(2), recvmsg(2)")
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
func (c *linkedStream) Passed(received, sent int64, spliced bool) {
	call := ""
	if spliced {
		call = "splice(2)"
	}
	c.link.count(received, sent, call)
}

func (c *linkedStream) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.link.count(int64(n), 0, "")
	return n, err
}

func (c *linkedStream) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.link.count(0, int64(n), "")
	return n, err
}

// count counts bytes from and to the client, and what system call moved them; "" stands for read(2) and write(2).
func (l *link) count(received, sent int64, call string) {
	l.entry.shown().Passed(received, sent, call)
	l.received.Add(received)
	l.sent.Add(sent)
	l.r.counts.received.Add(received)
	l.r.counts.sent.Add(sent)
}
