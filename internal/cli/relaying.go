package cli

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/local"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

// A relaying is one run of relay.
type relaying struct {
	*program
	flags *relayFlags
	plan  *relayPlan
	// stopping ends with the first signal, or when a listener fails.
	stopping context.Context
	fail     context.CancelCauseFunc

	to      joiner
	options relay.Options // of each pair
	total   *rate.Limiter // nil without
	counts  counts
	served  *served // shows the counts
	// only is set where one client alone is served.
	only  *onlyClient
	links sync.Map // of clients of messages, by their connection
	// programs are those that run.
	programs programs
}

// A joiner relays a client to what it opens for it: a [relay.Forwarder], or a local end.
type joiner interface {
	Stream(ctx context.Context, client net.Conn) error
	Message(ctx context.Context, client tincan.MessageConn) error
}

func newRelaying(stopping context.Context, p *program, f *relayFlags, plan *relayPlan) (*relaying, error) {
	r := &relaying{program: p, flags: f, plan: plan}
	r.stopping, r.fail = context.WithCancelCause(stopping)
	r.served = &served{counts: &r.counts, counters: p.counters, subsystem: "relay", directions: [2]string{"forward", "backward"}, relays: true}
	r.served.show()
	r.options = relay.Options{IdleTimeout: f.idleTimeout, Trace: r.pairHooks()}
	if f.rateTotal > 0 {
		r.total = newLimiter(tincan.Size(f.rateTotal))
	}
	if plan.to[0].isLocal() {
		to, err := newLocalTarget(r, &plan.to[0])
		if err != nil {
			return nil, err
		}
		r.to = to
		return r, nil
	}
	forwarder := &relay.Forwarder{
		Balance: f.balance,
		Dialer:  &tincan.Dialer{Config: p.config(), Timeout: f.connectTimeout, Retry: f.retry, Backoff: f.backoff},
		Options: r.options, Prepare: r.prepare, Retrying: func(client tincan.Conn) { r.linkOf(client).waits() }, MaxMessage: plan.largestMessage(),
		Ended: func(client tincan.Conn, target *tincan.Endpoint, result relay.Result, _ error) {
			l := r.linkOf(client)
			l.result, l.target = result, target.String()
		},
	}
	forwarder.Dialer.Trace, forwarder.DialTrace = r.dialHooks(), r.dialTrace()
	f.proxies.dialling(&forwarder.Dialer.Config)
	for _, to := range plan.to {
		forwarder.Targets = append(forwarder.Targets, to.endpoint)
	}
	if plan.messages {
		frameStreams(&forwarder.Dialer.Config, plan)
	}
	r.to = forwarder
	return r, nil
}

// prepare is called when client and target stand.
func (r *relaying) prepare(client, target tincan.Conn, o *relay.Options) {
	l := r.linkOf(client)
	l.joined()
	l.entry.record.Joined(target, r.targetName(target))
	if r.report.json {
		r.report.emit(event{Event: "connected", Local: name(target.LocalAddr()), Remote: name(target.RemoteAddr())})
	}
	if r.flags.rate > 0 {
		o.Limiters = append(o.Limiters, newLimiter(r.flags.rate))
	}
	if r.total != nil {
		o.Limiters = append(o.Limiters, r.total)
	}
	o.Tap = r.tap(l, l.recorded(r.recorder, client, target, o))
}

// targetName is how what a client is relayed to is called.
func (r *relaying) targetName(target tincan.Conn) string {
	if to := &r.plan.to[0]; to.isLocal() {
		return to.word
	}
	return name(target.RemoteAddr())
}

// tap gives what is to see all that passes over l, record among them if there is one; nil where nothing is.
func (r *relaying) tap(l *link, record func(relay.Direction, []byte)) func(relay.Direction, []byte) {
	var taps []func(relay.Direction, []byte)
	if r.plan.messages {
		taps = append(taps, l.countMessages) // a stream counts itself
	}
	if record != nil {
		taps = append(taps, record)
	}
	if r.flags.hex {
		var dumps [2]*hexDump // each direction has its own, and is one goroutine's
		for _, d := range []relay.Direction{relay.Forward, relay.Backward} {
			dumps[d] = &hexDump{report: r.report, direction: d.String(), remote: l.clientName()}
		}
		taps = append(taps, func(d relay.Direction, p []byte) { dumps[d].dump(p) })
	}
	switch len(taps) {
	case 0:
		return nil
	case 1:
		return taps[0]
	}
	return func(d relay.Direction, p []byte) {
		for _, tap := range taps {
			tap(d, p)
		}
	}
}

// A relayListener is one thing that clients come from.
type relayListener struct {
	streams  *tincan.Listener // one of the two
	messages tincan.MessageListener
}

func (l relayListener) addr() net.Addr {
	if l.streams != nil {
		return l.streams.Addr()
	}
	return l.messages.Addr()
}

// openFrom opens FROM: listeners, or what is a connection already.
func (r *relaying) openFrom(ctx context.Context) (listeners []relayListener, single tincan.Conn, err error) {
	lc := &tincan.ListenConfig{Config: r.config()}
	lc.Trace = r.listenHooks()
	r.flags.limits.apply(&lc.Options)
	r.flags.proxies.listening(&lc.Config)
	from := &r.plan.from
	if e := from.endpoint; e != nil {
		var l relayListener
		if r.plan.messages && e.Messages() {
			l.messages, err = lc.ListenMessageEndpoint(ctx, e)
		} else {
			l.streams, err = lc.ListenEndpoint(ctx, e)
		}
		return []relayListener{l}, nil, err
	}
	var sockets []local.Socket
	switch from.end.Scheme {
	case "stdio":
		return nil, from.end.Stdio(r.stdin, r.stdout), nil
	case "file":
		c, err := from.end.OpenFile(ctx, local.From)
		return nil, c, openError(ctx, from, err)
	case "fd":
		var s local.Socket
		s, err = from.end.OpenFD()
		sockets = []local.Socket{s}
	case "systemd":
		sockets, err = from.end.Passed()
	}
	if err != nil {
		return nil, nil, &net.OpError{Op: "listen", Net: from.end.Scheme, Addr: from.end, Err: err}
	}
	if len(sockets) == 1 {
		switch s := sockets[0]; {
		case s.MessageConn != nil:
			return nil, s.MessageConn, nil
		case s.Conn != nil:
			c := r.flags.proxies.inheritedConn(s.Conn, r.report.hooks())
			return nil, c, tincan.Handshake(ctx, c)
		}
	}
	for _, s := range sockets {
		l, err := r.inherited(lc, s)
		if err != nil {
			return nil, nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil, nil
}

// inherited makes s one of the listeners.
func (r *relaying) inherited(lc *tincan.ListenConfig, s local.Socket) (l relayListener, err error) {
	switch {
	case s.Listener != nil:
		l.streams = lc.Adopt(r.flags.proxies.inherited(s.Listener, lc.Trace))
	case s.Messages != nil:
		l.messages, err = lc.AdoptMessage(s.Messages)
	default:
		err = &usageError{problem: r.plan.from.word + " is several sockets, and one of them is a connection", remedy: "relay each by a name of its own"}
	}
	return l, err
}

// openError is what keeps a local end from being opened.
func openError(ctx context.Context, side *relaySide, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &localError{doing: "open " + side.word, err: err}
}

// serve serves every client of the listeners until a signal, and drains.
func (r *relaying) serve(listeners []relayListener) error {
	defer r.fail(nil)
	if r.plan.to[0].sole() {
		r.only = newOnlyClient(r)
	}
	for _, l := range listeners {
		r.report.listening("", l.addr().String())
		r.suggestClient(l.addr())
	}
	r.notify(true)
	defer r.notifyStopping()()
	server := &service.Server{Drain: r.flags.drain, Slots: clientSlots(&r.plan.to[0])}
	if r.flags.drain == 0 {
		server.Drain = -1 // its zero is the default
	}
	var running sync.WaitGroup
	for _, l := range listeners {
		running.Go(func() {
			if err := r.serveOn(server, l); err != nil {
				r.fail(err)
			}
		})
	}
	running.Wait()
	if r.only != nil && r.only.served() {
		return r.only.err
	}
	if cause := (interruptError{}); errors.As(context.Cause(r.stopping), &cause) {
		return nil // an orderly end
	}
	return context.Cause(r.stopping)
}

// serveOn serves the clients of one listener, each of whose faults are its own.
func (r *relaying) serveOn(server *service.Server, l relayListener) error {
	if l.messages != nil {
		return server.ServeMessageConns(r.stopping, r.only.messages(l.messages), func(ctx context.Context, conn tincan.MessageConn) error {
			client := newLink(r, conn, false)
			client.endless = endless(l.addr().Network())
			return client.relayMessages(ctx, conn)
		})
	}
	return server.Serve(r.stopping, r.only.streams(l.streams), func(ctx context.Context, conn net.Conn) error {
		return newLink(r, conn, false).relayStream(ctx, conn)
	})
}

// notifyStopping has it told as soon as the relay stops. The function that it gives waits for that.
func (r *relaying) notifyStopping() (wait func()) {
	told := make(chan struct{})
	forget := context.AfterFunc(r.stopping, func() {
		defer close(told)
		r.notify(false)
	})
	return func() {
		if forget() {
			r.notify(false)
		} else {
			<-told
		}
	}
}

// notify tells a service manager where one asks for it.
func (r *relaying) notify(ready bool) {
	if err := local.Notify(ready); err != nil {
		r.report.note("the service manager was not told: %v", err)
	}
}

// abandonAfter is how long a transfer that was interrupted may take to end by
// itself: a regular file may block, which nothing can interrupt.
const abandonAfter = time.Second

// transfer relays one connection, whose end is the command's.
func (r *relaying) transfer(ctx context.Context, single tincan.Conn) error {
	if r.plan.to[0].program == nil {
		ctx = r.stopping
	} else {
		// The program is told, and it is its end that ends the command.
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(r.stopping, func() {
			r.programs.signal(context.Cause(r.stopping))
			time.AfterFunc(r.flags.drain, func() { cancel(context.Cause(r.stopping)) })
		})()
	}
	restore := r.rawTerminal()
	defer restore()
	done := make(chan error, 1)
	l := newLink(r, single, r.plan.from.isLocal())
	defer r.showProgress(l)()
	go func() {
		if messages, ok := single.(tincan.MessageConn); ok {
			done <- l.relayMessages(ctx, messages)
		} else {
			done <- l.relayStream(ctx, single.(net.Conn))
		}
	}()
	if r.plan.to[0].program != nil {
		return <-done // it is seen to its end
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(abandonAfter):
		return context.Cause(ctx)
	}
}

// endless reports whether the peers of a network have no end: they are finished with when silent.
func endless(network string) bool {
	switch network {
	case "udp", "udp4", "udp6", "unixgram":
		return true
	}
	return false
}
