package cli

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/state"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	once           bool
	keys           []string
	count          countFlag
	timeout        time.Duration
	connectTimeout time.Duration
	retry          bool
	backoff        tincan.Backoff
}

func (p *program) watchCommand() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch ENDPOINT",
		Short: "Show published state as it changes",
		Long: `watch follows the state that "tincan serve notify", "tincan serve sysinfo", or any program that speaks
the same protocol, publishes at ENDPOINT: a byte stream (tcp, unix, tls, ...), ws, http (its
/events), pub+tcp:// and the like for a ZeroMQ PUB socket, or nats:// for a bucket of NATS.

On a terminal it is a table of every key with its value, how long ago it changed, and the
past of numbers. Typing filters the keys; the arrows, page up and down, home and end scroll;
q, Esc and Ctrl-C quit. Elsewhere, and with --count, each key is a line, key=value: first the
whole state, then each change behind its time, KEY deleted where the key has gone.

With --json it writes the lines of the protocol as they come: first {"seq":N,"snapshot":{...}},
then {"seq":N,"time":"...","key":"...","value":...}, or "deleted":true for the value. With --once it
writes the state and ends.

A connection that can't be made, or is lost, is tried again, but with --once, or
--retry=false. Characters that would do something to a terminal are written as escapes.

` + exitCodesHelp + "\n\n" + eventsHelp,
		Example: `  tincan watch unix:///tmp/sysinfo.sock
  tincan watch --keys cpu. --keys mem. tcp://127.0.0.1:7000
  tincan watch --once --json http://127.0.0.1:8080`,
		Args:              arguments(false, "ENDPOINT"),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.watch(cmd, &f, args[0]) },
		ValidArgsFunction: completeWatch,
	}
	p.outputFlags(cmd)
	flags := cmd.Flags()
	flags.Lookup("json").Usage = "write the protocol's lines, and report events as JSON lines on standard error"
	flags.BoolVar(&f.once, "once", false, "write the state and end")
	flags.StringArrayVar(&f.keys, "keys", nil, "watch the keys that begin with `PREFIX` alone; may repeat")
	flags.Var(&f.count, "count", "end after `N` changes")
	flags.Var((*durationFlag)(&f.timeout), "timeout", "end after so long, whatever is going on")
	f.connectTimeout = 30 * time.Second
	flags.Var((*durationFlag)(&f.connectTimeout), "connect-timeout", "give up on one try, the first state included, after so long")
	flags.BoolVar(&f.retry, "retry", true, "try again when there is no connection")
	flags.Var((*backoffFlag)(&f.backoff), "backoff", "wait `MIN..MAX` between tries (100ms..2s)")
	return cmd
}

// completeWatch offers the beginnings of endpoints that a state can be followed at.
func completeWatch(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"tcp://", "unix:", "tls://", "tls+unix:", "ws://", "wss://", "http://", "https://", "pub+tcp://", "pub+unix:", "nats://"},
		cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func (p *program) watch(cmd *cobra.Command, f *watchFlags, endpoint string) error {
	if f.once && f.count > 0 {
		return &usageError{problem: "--once and --count both say when to end", remedy: "--once ends before the first change"}
	}
	if e, err := tincan.ParseEndpoint(endpoint); err == nil && e.Scheme == "mem" {
		_, err := parseEndpoint(endpoint)
		return err
	}
	w := &watching{program: p, flags: f, endpoint: endpoint, retries: f.retry && (!f.once || cmd.Flags().Changed("retry"))}
	ctx, stop := p.interrupts.context(cmd.Context())
	defer stop()
	if f.timeout > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, f.timeout, &timeoutError{what: "not done within", after: f.timeout})
		defer done()
	}
	var err error
	if w.onTerminal() {
		err = w.showTable(ctx)
	} else {
		err = w.writeLines(ctx)
	}
	return ended(ctx, w.why(ctx, err))
}

// watching is one run of watch.
type watching struct {
	*program
	flags    *watchFlags
	endpoint string
	retries  bool
	lost     atomic.Pointer[error] // why the last connection was lost, or not made
}

// onTerminal reports whether there is somebody to show a table to, who asked for nothing else.
func (w *watching) onTerminal() bool {
	f := w.flags
	return !f.once && f.count == 0 && !w.report.json && !w.report.trace &&
		term.IsTerminal(int(w.stdin.Fd())) && term.IsTerminal(int(w.stdout.Fd())) && os.Getenv("TERM") != "dumb"
}

// follow begins to follow the state. Where it is tried again, lost is told why.
func (w *watching) follow(ctx context.Context, c tincan.Config, lost func(err error, wait time.Duration)) (closingFollower, error) {
	if natsbridge.IsEndpoint(w.endpoint) {
		return w.followBucket(ctx, func(err error, wait time.Duration) {
			w.lost.Store(&err)
			lost(err, wait)
		})
	}
	return state.Follow(w.endpoint, &state.FollowOptions{
		Prefixes: w.flags.keys,
		Dialer:   &tincan.Dialer{Config: c, Timeout: w.flags.connectTimeout},
		Backoff:  w.flags.backoff,
		Once:     !w.retries,
		OnLost: func(err error, wait time.Duration) {
			w.lost.Store(&err)
			lost(err, wait)
		},
	})
}

// why is why the following ended with err: where --timeout or a signal did that, what kept it from going on before.
func (w *watching) why(ctx context.Context, err error) error {
	switch lost := w.lost.Load(); {
	case ctx.Err() != nil && lost != nil:
		return *lost
	case ctx.Err() != nil:
		return nil
	case err == context.DeadlineExceeded: // bare: of an attempt that took too long, which has no words of its own
		return &timeoutError{what: "no state has come within", after: w.flags.connectTimeout}
	}
	return sayWho(remoteSide, err)
}

// showTable shows the table until the user quits, ctx ends or, without retries, the connection.
func (w *watching) showTable(ctx context.Context) error {
	// Nothing but the table may be written to the terminal now.
	var c tincan.Config
	addTransports(&c)
	links := make(chan watchLink, 1)
	follower, err := w.follow(ctx, c, func(err error, _ time.Duration) {
		select {
		case <-links: // nobody has looked at it yet
		default:
		}
		links <- watchLink{err: err}
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	table := newWatchTable(w.endpoint, os.Getenv("NO_COLOR") == "", time.Now())
	screen := tea.NewProgram(table, tea.WithInput(w.stdin), tea.WithOutput(w.stdout), tea.WithoutSignalHandler())
	defer context.AfterFunc(ctx, screen.Quit)() // in order: bubbletea's own way to obey a context leaves its reader behind
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if err := feed(ctx, follower, links, screen.Send); err != nil {
			cancel(err)
		}
	}()
	_, err = screen.Run()
	cause := context.Cause(ctx)
	cancel(nil)
	closeErr := follower.Close()
	<-fed
	switch {
	case cause != nil:
		return cause
	case err != nil:
		return &localError{doing: "show the table", err: err}
	}
	return closeErr
}

// What the table is told of at once is what has come within a frame, and bounded.
const (
	frameTime  = 50 * time.Millisecond
	maxUpdates = 4096
)

// A follower is what feed takes updates from: a [state.Follower] or a [natsbridge.Follower].
type follower interface {
	Next(ctx context.Context) (state.Update, error)
}

// feed sends what comes of a state, and how it stands with the connection, until ctx ends.
func feed(ctx context.Context, f follower, links <-chan watchLink, send func(tea.Msg)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan state.Update, maxUpdates)
	failed := make(chan error, 1)
	go func() {
		for {
			u, err := f.Next(ctx)
			if err != nil {
				failed <- err
				return
			}
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		}
	}()
	for {
		select {
		case u := <-updates:
			send(gather(updates, u))
		case link := <-links:
			for len(updates) > 0 { // they came before
				send(gather(updates, <-updates))
			}
			send(link)
		case err := <-failed:
			return err
		}
	}
}

// gather gives an update with those that come within a frame.
func gather(updates <-chan state.Update, first state.Update) watchUpdates {
	batch := []state.Update{first}
	frame := time.NewTimer(frameTime)
	defer frame.Stop()
	for len(batch) < maxUpdates {
		select {
		case u := <-updates:
			batch = append(batch, u)
		case <-frame.C:
			return watchUpdates{now: time.Now(), updates: batch}
		}
	}
	return watchUpdates{now: time.Now(), updates: batch}
}

// writeLines writes the state, and each change, as lines.
func (w *watching) writeLines(ctx context.Context) error {
	follower, err := w.follow(ctx, w.config(), w.tellLost)
	if err != nil {
		return err
	}
	out := &watchLines{w: w.stdout, json: w.report.json}
	err = w.copyLines(ctx, follower, out)
	if closeErr := follower.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (w *watching) copyLines(ctx context.Context, f follower, out *watchLines) error {
	for changes := 0; w.flags.count == 0 || changes < int(w.flags.count); {
		u, err := f.Next(ctx)
		if err != nil {
			return err
		}
		if err := out.write(u); err != nil {
			return &localError{doing: "write standard output", err: err}
		}
		if w.flags.once {
			return nil
		}
		if u.Change != nil {
			changes++
			if u.Change.Missed > 0 && !w.report.json {
				w.report.note("missed %d changes", u.Change.Missed)
			}
		}
	}
	return nil
}

// tellLost tells why there is no connection.
func (w *watching) tellLost(err error, wait time.Duration) {
	if w.report.json {
		w.report.emit(event{Event: "retrying", URL: w.endpoint, Seconds: wait.Seconds(), Error: err.Error()})
		return
	}
	w.report.line("", "tincan: "+err.Error()+"; trying again in "+round(wait).String())
}
