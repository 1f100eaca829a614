package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
)

// listenFlags are the flags of listen.
type listenFlags struct {
	sessionFlags
	limits   limitFlags
	keepOpen bool
	drain    time.Duration
}

const listenMetricsHelp = `tincan_listen_connections_total and _open, tincan_listen_bytes_total by
direction (received, sent), tincan_listen_dropped_messages_total and
tincan_listen_failures_total by kind ` + failureKindsHelp + `,`

func (p *program) listenCommand() *cobra.Command {
	f := listenFlags{drain: 5 * time.Second}
	cmd := &cobra.Command{
		Use:   "listen ENDPOINT",
		Short: "The other side: one client, or many with --keep-open",
		Long: `listen binds ENDPOINT, prints "listening on URL" on standard error once it is
bound, and joins the first client with standard input and output; then nobody
else is accepted. With --keep-open it serves any number of clients at once:
what each sends goes to standard output in whole reads, and standard input is
sent to every client connected at that moment (it is not read while there is
none). A client that takes nothing for 1 s, though 1 MiB waits for it, is dropped.

The end of input is passed on to the client as a half-close, and the other
direction goes on until it ends; so does input when the client ends first.
SIGINT or SIGTERM stops accepting, half-closes, lets what is in flight finish
within --drain and exits with 0; a second signal ends it at once.

` + metricsHelp(listenMetricsHelp) + `

` + messagesHelp + ` listen waits longer: a peer
that sends datagrams has ended when it was silent for ?flow-timeout= (60 s).

` + exitCodesHelp + `

` + eventsHelp,
		Example: `  tincan listen tcp://127.0.0.1:9000 >upload
  tincan listen --keep-open --max-conns-per-source 2 'tcp://*:9000?allow=10.0.0.0/8' </dev/null >log
  tincan listen 'unix:///tmp/app.sock?mode=0660'`,
		Args: arguments(false, "ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkBackoff(cmd); err != nil {
				return err
			}
			return p.listen(cmd.Context(), &f, args[0])
		},

		ValidArgsFunction: completeEndpoint,
	}
	p.outputFlags(cmd)
	p.observeFlags(cmd)
	f.add(cmd)
	f.limits.add(cmd.Flags())
	cmd.Flags().BoolVar(&f.keepOpen, "keep-open", false, "serve any number of clients")
	cmd.Flags().Var((*drainFlag)(&f.drain), "drain", "after a signal, let what is in flight finish for so long")
	cmd.Flags().Var((*durationFlag)(&f.connectTimeout), "connect-timeout", "give up when no client has come for so long")
	cmd.Flags().BoolVar(&f.retry, "retry", false, "try again while the address is in use")
	return cmd
}

// listener is one run of the verb listen.
type listener struct {
	*program
	flags *listenFlags
	// stopping ends with the first signal; the verb then drains.
	stopping context.Context
	cancel   context.CancelCauseFunc // ends the verb's own context
	counted  *served                 // what is counted; nil without
}

func (p *program) listen(ctx context.Context, f *listenFlags, url string) error {
	e, err := parseEndpoint(url)
	if err != nil {
		return err
	}
	if err := f.check(e); err != nil {
		return err
	}
	f.serves = true
	stopRecording, err := p.startRecording(f.record)
	if err != nil {
		return err
	}
	defer stopRecording()
	ctx, cancelTimeout := f.bounded(ctx)
	defer cancelTimeout()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopping, stop := p.interrupts.context(ctx)
	defer stop()
	stopObserving, err := p.observe(stopping, "listen")
	if err != nil {
		return ended(stopping, err)
	}
	defer stopObserving()
	l := &listener{program: p, flags: f, stopping: stopping, cancel: cancel, counted: p.counters.serving("listen", false)}
	defer context.AfterFunc(stopping, func() {
		time.AfterFunc(f.drain, func() { cancel(errDrained) })
	})()

	err = l.run(ctx, e)
	if cause := (interruptError{}); errors.As(err, &cause) || errors.Is(err, errDrained) {
		return nil // what was asked for has been done
	}
	return err
}

// errOneClient turns away a second client of a listener that serves one.
var errOneClient = errors.New("one client is served, and no more without --keep-open")

// errDrained ends what has outlived the drain.
var errDrained = errors.New("the drain is over")

func (l *listener) run(ctx context.Context, e *tincan.Endpoint) error {
	lc := &tincan.ListenConfig{Config: l.config()}
	lc.Trace = l.counted.hooks(lc.Trace)
	l.flags.limits.apply(&lc.Options)
	if l.flags.carriesMessages(e) {
		return l.runMessages(ctx, lc, e)
	}
	ln, err := bind(l, func() (*tincan.Listener, error) { return lc.ListenEndpoint(l.stopping, e) })
	if err != nil {
		return ended(l.stopping, err)
	}
	defer ln.Close()
	l.listening(ln.Addr())
	if l.flags.keepOpen {
		return l.serveMany(ctx, e, ln)
	}
	defer context.AfterFunc(l.stopping, func() { _ = ln.Close() })()
	return l.serveOne(ctx, e, ln)
}

// listening tells where clients may come to.
func (l *listener) listening(at net.Addr) {
	l.counted.show(label{"endpoint", at.String()})
	l.report.listening("", at.String())
	l.suggestClient(at)
}

// bind calls listen again, with --retry, while the address is in use.
func bind[L any](l *listener, listen func() (L, error)) (L, error) {
	for attempt := 1; ; attempt++ {
		ln, err := listen()
		if !l.flags.retry || !inUse(err) {
			return ln, err
		}
		wait := l.flags.backoff.Wait(attempt)
		l.report.note("%v; trying again in %v", err, round(wait))
		select {
		case <-time.After(wait):
		case <-l.stopping.Done():
			return ln, err
		}
	}
}

// serveOne joins the standard streams with the first client.
func (l *listener) serveOne(ctx context.Context, e *tincan.Endpoint, ln *tincan.Listener) error {
	late := l.awaitFirst(func() { _ = ln.Close() })
	conn, err := ln.Accept()
	if !late.Stop() {
		return &timeoutError{what: "no client came within", after: l.flags.connectTimeout}
	}
	if err != nil {
		return ended(l.stopping, err)
	}
	if err := ln.Close(); err != nil {
		l.report.note("%v", err)
	}
	if err := tincan.Handshake(ctx, conn); err != nil {
		_ = conn.Close()
		return ended(ctx, err)
	}
	s := newStream(l.program, &l.flags.sessionFlags, e, l.counted.stream(conn), l.stdin, l.stdout)
	s.trace = l.counted.hooks(s.trace)
	s.drain, s.patient = l.stopping.Done(), true
	return s.run(ctx)
}

// awaitFirst calls giveUp when --connect-timeout has passed; Stop of the
// timer reports false when it has.
func (l *listener) awaitFirst(giveUp func()) *time.Timer {
	limit := l.flags.connectTimeout
	if limit == 0 {
		limit = 1<<63 - 1
	}
	return time.AfterFunc(limit, giveUp)
}

// serveMany joins the standard streams with every client.
func (l *listener) serveMany(ctx context.Context, e *tincan.Endpoint, ln *tincan.Listener) error {
	var clients sync.WaitGroup
	defer clients.Wait()
	inputs, out := newFan(), &sharedWriter{w: l.stdout}
	go l.feed(ctx, inputs, readChunks(l.stdin))
	late := l.awaitFirst(func() { l.cancel(&timeoutError{what: "no client came within", after: l.flags.connectTimeout}) })
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	defer context.AfterFunc(l.stopping, func() { // who has come already is served within the drain
		if l.flags.drain <= 0 || tincan.Drain(ln) != nil {
			_ = ln.Close()
		}
	})()
	for {
		conn, err := ln.Accept()
		if err != nil {
			_ = ln.Close()
			if l.stopping.Err() != nil {
				clients.Wait()
				return context.Cause(l.stopping)
			}
			return err
		}
		late.Stop()
		clients.Go(func() { l.serveClient(ctx, e, ln.Addr(), conn, inputs, out) })
	}
}

// serveClient serves one client of many: its faults are told and end it
// alone, but a failure of the standard streams ends the verb.
func (l *listener) serveClient(ctx context.Context, e *tincan.Endpoint, at net.Addr, conn net.Conn, inputs *fan, out io.Writer) {
	if err := tincan.Handshake(ctx, conn); err != nil {
		l.counted.hooks(l.report.hooks()).Refused(at, conn.RemoteAddr(), err)
		_ = conn.Close()
		return
	}
	ctx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	box := inputs.join(drop)
	defer inputs.leave(box)
	s := newStream(l.program, &l.flags.sessionFlags, e, l.counted.stream(conn), box, out)
	s.trace = l.counted.hooks(s.trace)
	s.drain, s.patient = l.stopping.Done(), true
	l.clientEnded(conn, s.run(ctx))
}

// clientEnded tells why a client of many did not end in order.
func (l *listener) clientEnded(conn tincan.Conn, err error) {
	var local *localError
	switch {
	case err == nil || errors.Is(err, errDrained):
	case errors.As(err, &local):
		l.cancel(err)
	case !l.report.json: // the event closed has told it
		l.report.note("client %s: %v", name(conn.RemoteAddr()), err)
	}
}

// feed hands the input to the clients, piece by piece as next gives it, until
// it ends. It reads nothing while nobody is there.
func (l *listener) feed(ctx context.Context, inputs *fan, next func() ([]byte, error)) {
	for inputs.wait(ctx) {
		piece, err := next()
		if errors.Is(err, io.EOF) {
			inputs.end()
			return
		}
		if err != nil {
			l.cancel(&localError{doing: "read standard input", err: err})
			return
		}
		if inputs.wait(ctx) { // the last client may have left meanwhile
			inputs.send(piece)
		}
	}
}

// readChunks gives what r gives, each piece in memory of its own.
func readChunks(r io.Reader) func() ([]byte, error) {
	buf := make([]byte, 64<<10)
	return func() ([]byte, error) {
		for {
			n, err := r.Read(buf)
			if n > 0 {
				return append([]byte(nil), buf[:n]...), nil
			}
			if err != nil {
				return nil, err
			}
		}
	}
}
