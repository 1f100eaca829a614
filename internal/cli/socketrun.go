package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// A socketRun is one run of a message verb.
type socketRun struct {
	*program
	verb    string
	flags   *socketFlags
	format  *partsFormat
	argv    []string       // of exec -- PROGRAM, may be nil
	counted *countedSocket // nil without
	topic   []byte         // put before each message that is sent, nil for none
	// stopping ends with the first signal, ctx when the verb is to end at once.
	stopping context.Context
	cancel   context.CancelCauseFunc
}

// cutProgram takes the words behind "exec --" off the arguments.
func cutProgram(cmd *cobra.Command, runs bool, args []string) (words, program []string, err error) {
	dash := cmd.ArgsLenAtDash()
	exec := slices.Index(args, "exec")
	usage := "usage: " + cmd.UseLine()
	switch {
	case dash < 0 && exec < 0:
		return args, nil, nil
	case !runs:
		return nil, nil, &usageError{problem: cmd.Name() + " runs no program", remedy: usage}
	case exec < 0 || dash != exec+1 || len(args) == dash:
		return nil, nil, &usageError{problem: "a program needs exec -- before it", remedy: usage}
	}
	return args[:exec], args[dash:], nil
}

// A messageSender is what messages are sent to, and a messageReceiver where they come from.
type messageSender interface {
	Send(ctx context.Context, parts ...[]byte) error
}

type messageReceiver interface {
	Borrow(ctx context.Context) (*pattern.Message, error)
}

// runSocket runs a message verb from its arguments to its end.
func (p *program) runSocket(cmd *cobra.Command, v *socketVerb, f *socketFlags, args []string) error {
	r := &socketRun{program: p, flags: f}
	var err error
	if r.format, err = newPartsFormat(f.format, f.separator); err != nil {
		return err
	}
	if args, r.argv, err = cutProgram(cmd, v.runs, args); err != nil {
		return err
	}
	listen, dial, err := f.endpoints(args, v.listens)
	if err != nil {
		return err
	}
	mechanism, err := f.security.mechanism(len(listen) > 0, len(dial) > 0)
	if err != nil {
		return err
	}
	if v.check != nil {
		if err := v.check(r); err != nil {
			return err
		}
	}
	var stop func()
	r.stopping, stop = p.interrupts.context(cmd.Context())
	defer stop()
	ctx, cancel := context.WithCancelCause(r.stopping)
	defer cancel(nil)
	r.cancel = cancel
	if f.timeout > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, f.timeout, &timeoutError{what: "not done within", after: f.timeout})
		defer done()
	}
	stopObserving, err := p.observe(ctx, v.name)
	if err != nil {
		return ended(ctx, err)
	}
	defer stopObserving()
	o := f.options(p, mechanism)
	o.OnEvent = (&socketTeller{report: p.report, giveUp: cancel}).event
	r.counted = p.counters.socket(o, label{"type", v.name})
	s, work := v.open(r, o)
	r.counted.made(s)
	r.verb = v.name
	return r.run(ctx, s, work, listen, dial)
}

// run opens the endpoints, works, and closes the socket.
func (r *socketRun) run(ctx context.Context, s socket, work func(context.Context) error, listen, dial []*tincan.Endpoint) error {
	err := r.openEndpoints(ctx, s, listen, dial)
	if err == nil {
		err = work(ctx)
	}
	if closeErr := r.close(ctx, s); err == nil {
		err = closeErr
	}
	interrupted := errors.As(context.Cause(r.stopping), new(interruptError))
	if interrupted && len(listen) > 0 && (err == nil || ctx.Err() != nil) {
		return nil // a server's orderly end
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (r *socketRun) openEndpoints(ctx context.Context, s socket, listen, dial []*tincan.Endpoint) error {
	for _, e := range listen {
		addr, err := s.Listen(ctx, e.String())
		if err != nil {
			return err
		}
		r.counted.at(addr.String())
		if bound, ok := addr.(*tincan.Endpoint); ok {
			r.suggestPeer(r.verb, bound, true)
		}
		r.report.listening("", addr.String())
	}
	for _, e := range dial {
		if err := s.Dial(e.String()); err != nil {
			return err
		}
		r.counted.at(e.String())
		r.suggestPeer(r.verb, e, false)
	}
	return nil
}

// timeoutGrace is how long a socket may take to close when --timeout has passed.
const timeoutGrace = 100 * time.Millisecond

// close closes s once what is queued has been sent. A signal bounds that by --drain.
func (r *socketRun) close(ctx context.Context, s socket) error {
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
	}
	grace := timeoutGrace
	if r.stopping.Err() != nil {
		grace = r.flags.drain
	}
	select {
	case err := <-closed:
		return err
	case <-time.After(grace):
		return context.Cause(ctx)
	}
}

// awaitPeers waits for --wait-peers.
func (r *socketRun) awaitPeers(ctx context.Context, wait func(ctx context.Context, n int) error) error {
	if r.flags.waitPeers == 0 {
		return nil
	}
	return wait(ctx, int(r.flags.waitPeers))
}

// sendAll waits for --wait-peers, and sends the input.
func (r *socketRun) sendAll(ctx context.Context, s messageSender, wait func(ctx context.Context, n int) error) error {
	if err := r.awaitPeers(ctx, wait); err != nil {
		return err
	}
	return abandoning(ctx, func() error {
		_, err := r.send(ctx, s)
		return err
	})
}

// abandoning runs f until it is done or ctx ends, and then leaves it behind: it may be
// reading an input that gives nothing, and the process is about to end.
func abandoning(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send sends each line of input, and gives how many there were, until the end of input or --count.
func (r *socketRun) send(ctx context.Context, s messageSender) (sent int, err error) {
	lines := newLineReader(r.stdin)
	for ; r.flags.count == 0 || sent < int(r.flags.count); sent++ {
		parts, err := r.readMessage(lines)
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
		if err := r.pause(ctx, sent); err != nil {
			return sent, err
		}
		if err := s.Send(ctx, parts...); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// readMessage reads a line of input as a message, with --topic before it; io.EOF after the last.
func (r *socketRun) readMessage(lines *lineReader) ([][]byte, error) {
	line, err := lines.next()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	var parts [][]byte
	if err == nil {
		parts, err = r.format.parts(line)
	}
	if err != nil {
		return nil, &localError{doing: "read standard input", err: err}
	}
	if r.topic != nil {
		parts = append([][]byte{r.topic}, parts...)
	}
	return parts, nil
}

// pause waits for --interval between messages, of which n have been sent.
func (r *socketRun) pause(ctx context.Context, n int) error {
	if n == 0 || r.flags.interval == 0 {
		return nil
	}
	select {
	case <-time.After(r.flags.interval):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive writes each message that comes as a line of output, until --count or ctx ends.
func (r *socketRun) receive(ctx context.Context, s messageReceiver, came func()) error {
	out := newLineWriter(r.stdout)
	err := r.receiveTo(ctx, s, out, came)
	if flushErr := out.close(); flushErr != nil {
		return &localError{doing: "write standard output", err: flushErr}
	}
	return err
}

func (r *socketRun) receiveTo(ctx context.Context, s messageReceiver, out *lineWriter, came func()) error {
	for n := 0; r.flags.count == 0 || n < int(r.flags.count); n++ {
		m, err := s.Borrow(ctx)
		if err != nil {
			return err
		}
		err = out.write(r.format, m.Parts)
		m.Release()
		if err != nil {
			return nil // close tells
		}
		came()
	}
	return nil
}

// A duplex socket is sent to and received from.
type duplex interface {
	messageSender
	messageReceiver
	Stats() pattern.Stats
}

// exchangeAll waits for --wait-peers, and exchanges.
func (r *socketRun) exchangeAll(ctx context.Context, s duplex, wait func(ctx context.Context, n int) error) error {
	if err := r.awaitPeers(ctx, wait); err != nil {
		return err
	}
	return r.exchange(ctx, s)
}

// exchange sends the input while it writes what comes. The end of input can't be passed on: once all of it has been sent,
// the verb waits until nothing has come for a while. An input without a single line says that
// there is nothing to send, and --count says how many messages are waited for: then it goes on.
func (r *socketRun) exchange(ctx context.Context, s duplex) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var came atomic.Int64
	received := make(chan error, 1)
	go func() { received <- r.receive(ctx, s, func() { came.Add(1) }) }()
	go func() {
		sent, err := r.send(ctx, s)
		if err != nil {
			cancel(err)
		} else if sent > 0 && r.flags.count == 0 {
			awaitQuiet(ctx, s, &came)
			cancel(errQuiet)
		}
	}()
	err := <-received
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	if errors.Is(err, errQuiet) {
		err = nil
	}
	return err
}

// awaitQuiet waits until nothing waits to be sent and nothing has come for quietTime.
func awaitQuiet(ctx context.Context, s duplex, came *atomic.Int64) {
	const step = quietTime / 20
	ticks := time.NewTicker(step)
	defer ticks.Stop()
	before := came.Load()
	for quiet := time.Duration(0); quiet < quietTime; quiet += step {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		if now := came.Load(); now != before || s.Stats().Queued > 0 {
			before, quiet = now, 0
		}
	}
}

// A tolerantRouter goes on when a message is for a peer that isn't there.
type tolerantRouter struct {
	*pattern.Router
	report *reporter
}

func (r *tolerantRouter) Send(ctx context.Context, parts ...[]byte) error {
	err := r.Router.Send(ctx, parts...)
	if errors.Is(err, pattern.ErrUnroutable) {
		r.report.note("no peer is called %q: a line of input was not sent", parts[0])
		return nil
	}
	return err
}
