package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
)

func (p *program) connectCommand() *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect ENDPOINT",
		Short: "Standard input and output to an endpoint",
		Long: `connect opens ENDPOINT, sends it standard input and writes what comes back to
standard output.

The end of input is passed on as a half-close, and the other direction goes on
until it ends, however long that takes: a late answer arrives whole. When the
peer ends first, input is sent on until it ends too; only when input is a
terminal does the peer's end end the session. WebSocket has no half-close:
there connect waits, after the end of input, until nothing has come for 1 s
(or --idle-timeout), and closes.

` + messagesHelp + `

` + exitCodesHelp + `
A peer that resets, or ends TLS without close_notify, is 5; a limit of
--connect-timeout, --idle-timeout or --timeout that passed is 4. A reader of the
output that leaves ends it quietly, with 141 as SIGPIPE would.

` + eventsHelp,
		Example: `  printf 'hello\n' | tincan connect tcp://127.0.0.1:27015
  tincan connect 'tls://example.org:443?ca=ca.pem' <request >reply
  printf 'one\ntwo\n' | tincan connect --frame line udp://127.0.0.1:7
  tincan connect --retry --timeout 30s unix:///run/app.sock </dev/null`,
		Args: arguments(false, "ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkBackoff(cmd); err != nil {
				return err
			}
			return p.connect(cmd.Context(), &f, args[0])
		},

		ValidArgsFunction: completeEndpoint,
	}
	p.outputFlags(cmd)
	f.add(cmd)
	cmd.Flags().Var((*durationFlag)(&f.connectTimeout), "connect-timeout", "give up a try to connect, handshakes included, after so long")
	cmd.Flags().BoolVar(&f.retry, "retry", false, "try again while the peer can't be reached")
	cmd.Flags().Var(&f.proxy, "proxy", proxyUsage)
	return cmd
}

// connectFlags are the flags of connect.
type connectFlags struct {
	sessionFlags
	proxy proxyFlag
}

func (p *program) connect(ctx context.Context, f *connectFlags, url string) error {
	e, err := parseEndpoint(url)
	if err != nil {
		return err
	}
	if err := f.check(e); err != nil {
		return err
	}
	stopRecording, err := p.startRecording(f.record)
	if err != nil {
		return err
	}
	defer stopRecording()
	ctx, stop := p.interrupts.context(ctx)
	defer stop()
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	d := &tincan.Dialer{Config: p.config(), Timeout: f.connectTimeout, Retry: f.retry, Backoff: f.backoff}
	if err := f.proxy.reach(&d.Config, e); err != nil {
		return err
	}
	if f.carriesMessages(e) {
		return p.connectMessages(ctx, &f.sessionFlags, d, e)
	}
	conn, err := d.DialEndpoint(ctx, e)
	if err != nil {
		return ended(ctx, err)
	}
	p.report.connected(e, conn)
	s := newStream(p, &f.sessionFlags, e, conn, p.stdin, p.stdout)
	s.untilPeerEnds = term.IsTerminal(int(p.stdin.Fd()))
	return s.run(ctx)
}

func (p *program) connectMessages(ctx context.Context, f *sessionFlags, d *tincan.Dialer, e *tincan.Endpoint) error {
	// An empty input is an empty message where that is all that can be sent: it
	// asks, say, a daytime server. Elsewhere it is passed on as an end.
	next, err := messageInput(p.stdin, f.frame, e.Scheme != "unixpacket")
	if err != nil {
		return err
	}
	conn, err := d.DialMessageEndpoint(ctx, e)
	if err != nil {
		return ended(ctx, err)
	}
	p.report.connected(e, conn)
	m := newMessages(p, f, e, conn, next, p.stdout)
	m.untilPeerEnds = term.IsTerminal(int(p.stdin.Fd()))
	return m.run(ctx)
}

// carriesMessages reports whether e is opened for messages: ws, which has
// both, where boundaries are given.
func (f *sessionFlags) carriesMessages(e *tincan.Endpoint) bool {
	return e.Messages() && (f.frame != "" || !e.Streams())
}

// check refuses what e can't do.
func (f *sessionFlags) check(e *tincan.Endpoint) error {
	if f.frame != "" && !e.Messages() {
		return &usageError{
			problem: e.Scheme + " carries a byte stream, and --frame is for messages",
			remedy:  "leave --frame out, or use udp, unixgram, unixpacket or ws",
		}
	}
	return nil
}

// bounded applies --timeout.
func (f *sessionFlags) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, f.timeout, &timeoutError{what: "not done within", after: f.timeout})
}

// ended gives the reason why ctx ended, where that is why err came about.
func ended(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && err != nil && !time.Now().Before(deadline) {
		<-ctx.Done() // who looked at the clock may know before ctx, whose timer is a moment late
	}
	var timeout *timeoutError
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return err
	case errors.As(cause, &timeout):
		return &timeoutError{what: timeout.what, after: timeout.after, last: err}
	default:
		return cause
	}
}
