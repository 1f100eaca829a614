package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/service"
)

// calcFlags are the flags of calc.
type calcFlags struct {
	asString bool
	timeout  time.Duration
	retries  int
}

func (p *program) calcCommand() *cobra.Command {
	f := calcFlags{timeout: time.Second, retries: 2}
	cmd := &cobra.Command{
		Use:   "calc OP ENDPOINT INT...",
		Short: "The calculator's client",
		Long: `calc asks the calculator at ENDPOINT (udp, unixgram, unixpacket, ws or nats) for the
sum (+) or product (*, x) of 1 to 64 integers from 0 to 4294967295, and writes the
result alone to standard output. A question or reply that is lost is asked again.

Without --string the result must fit 32 bits, with it 256 decimal digits; one that
doesn't is refused by the server, never wrapped.

There is no half-close: one message asks, one answers.
` + exitCodesHelp + `
A refusal by the server is 1, no answer in time is 4.`,
		Example: `  tincan calc + udp://[::1]:10000 1 3 5 7 9
  tincan calc --string '*' udp://[::1]:10000 1 3 5 7 9
  tincan calc + nats://127.0.0.1:4222/calc 1 3 5 7 9`,
		Args: arguments(true, "OP", "ENDPOINT", "INT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.calc(cmd.Context(), &f, args[0], args[1], args[2:])
		},
		ValidArgsFunction: completeCalc,
	}
	p.outputFlags(cmd)
	cmd.Flags().BoolVar(&f.asString, "string", false, "ask for the result as decimal digits")
	cmd.Flags().Var((*durationFlag)(&f.timeout), "timeout", "wait for an answer, at each try, for so long")
	cmd.Flags().Var((*retriesFlag)(&f.retries), "retries", "ask again at most `N` times")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{problem: err.Error(), remedy: "integers run from 0 to 4294967295; " + cmd.CommandPath() + " --help tells the flags"}
	})
	return cmd
}

func (p *program) calc(ctx context.Context, f *calcFlags, word, url string, words []string) error {
	op, err := service.ParseCalcOp(word)
	if err != nil {
		return &usageError{problem: err.Error(), remedy: "quote * so that the shell leaves it alone"}
	}
	dial, err := p.calcDialer(f, url)
	if err != nil {
		return err
	}
	ints, err := service.ParseCalcInts(words)
	if err != nil {
		return &usageError{problem: err.Error(), remedy: "integers run from 0 to 4294967295"}
	}
	ctx, stop := p.interrupts.context(ctx)
	defer stop()
	conn, err := dial(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	defer conn.Close()
	result, err := service.Calc(ctx, conn, service.CalcRequest{Op: op, String: f.asString, Ints: ints}, &service.CalcOptions{Timeout: f.timeout, Tries: 1 + f.retries})
	if err != nil {
		return ended(ctx, err)
	}
	return p.print(result + "\n")
}

// calcDialer gives what opens a message connection to url, which it checks.
func (p *program) calcDialer(f *calcFlags, url string) (func(ctx context.Context) (tincan.MessageConn, error), error) {
	if natsbridge.IsEndpoint(url) {
		e, err := natsbridge.ParseEndpoint(url)
		return func(ctx context.Context) (tincan.MessageConn, error) {
			return natsbridge.Dial(ctx, e, &natsbridge.ConnectOptions{OnEvent: (&natsTeller{report: p.report}).event})
		}, err
	}
	e, err := parseEndpoint(url)
	if err != nil {
		return nil, err
	}
	if !e.Messages() {
		return nil, &usageError{problem: "the calculator answers messages, and " + e.Scheme + " carries a byte stream", remedy: "use udp, unixgram, unixpacket, ws or nats"}
	}
	return func(ctx context.Context) (tincan.MessageConn, error) {
		d := &tincan.Dialer{Config: p.config(), Timeout: f.timeout}
		conn, err := d.DialMessageEndpoint(ctx, e)
		if err == nil {
			p.report.connected(e, conn)
		}
		return conn, err
	}, nil
}

func completeCalc(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return []cobra.Completion{"+", "sum", "product"}, cobra.ShellCompDirectiveNoFileComp
	case 1:
		return []cobra.Completion{"udp://", "unixgram:", "unixpacket:", "ws://", "nats://"}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
