package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// The sides of a benchmark.
const (
	bothSides   = "both"
	serveSide   = "serve"
	measureSide = "measure"
)

// A benchWork is something that bench measures.
type benchWork struct {
	name string
	// counts is what is counted, in the plural; does says what is done, for the report.
	counts, does string
	// serve makes the socket of the serving side and what it does until ctx ends.
	serve func(r *benchRun, o *pattern.Options) (socket, func(ctx context.Context) error)
	// measure makes the sockets of the measuring side and what it does until all is measured.
	measure func(r *benchRun, m *measurement, o *pattern.Options) ([]benchSocket, func(ctx context.Context) error)
}

// A benchSocket is a socket that tells its peers.
type benchSocket interface {
	socket
	Peers() []pattern.PeerInfo
}

var benchWorks = []*benchWork{
	{name: "latency", counts: "round trips", does: "Req to Rep, one at a time", serve: serveReplies, measure: measureLatency},
	{name: "throughput", counts: "messages", does: "Push to Pull, one way", serve: servePush, measure: measureThroughput},
	{name: "fanout", counts: "deliveries", does: "one Pub to %d Subs", serve: servePub, measure: measureFanout},
	{name: "requests", counts: "requests", does: "Client to Server, %d under way", serve: serveRequests, measure: measureRequests},
}

func benchWorkNames() []string {
	var names []string
	for _, w := range benchWorks {
		names = append(names, w.name)
	}
	return names
}

// benchFlags are the flags of bench.
type benchFlags struct {
	side           string
	size           benchSize
	count          countFlag
	duration       time.Duration
	warmUp         time.Duration
	callers        countFlag
	subscribers    countFlag
	drop           bool
	connectTimeout time.Duration
	timeout        time.Duration
	endWithInput   bool
	security       securityFlags
}

func (f *benchFlags) add(p *program, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.side, "side", bothSides, "be the `SIDE` that serves or measures, or start the one as well: serve, measure or both")
	flags.Var(&f.size, "size", "send messages of `SIZE`, such as 512 or 64KiB")
	flags.Var(&f.count, "count", "end after `N` round trips, messages (to each subscriber) or requests")
	flags.Var((*durationFlag)(&f.duration), "duration", "measure for so long at most (3s, with --count 1m)")
	flags.Var((*drainFlag)(&f.warmUp), "warm-up", "work so long before anything is counted")
	flags.Var(&f.callers, "callers", "keep `N` requests under way")
	flags.Var(&f.subscribers, "subscribers", "publish to `N` subscribers")
	flags.BoolVar(&f.drop, "drop", false, "publish flat out, and count what subscribers lose")
	flags.Var((*durationFlag)(&f.connectTimeout), "connect-timeout", "give up when the serving side can't be reached for so long")
	flags.Var((*durationFlag)(&f.timeout), "timeout", "end after so long, whatever is going on")
	flags.BoolVar(&f.endWithInput, "end-with-input", false, "with --side serve: end when standard input does")
	flags.BoolVar(&p.report.json, "json", false, "write the result as a JSON object, and events as JSON lines on standard error")
	flags.BoolVar(&p.report.trace, "trace", false, "narrate the connecting, with times and system calls")
	f.security.add(cmd)
	if err := cmd.RegisterFlagCompletionFunc("side", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{bothSides, serveSide, measureSide}, cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // the flag is not there: a fault of this program
	}
}

// benchFlagUses are the flags that not every run has a use for: those of one work, and of one side.
var benchFlagUses = []struct{ flag, work, side string }{
	{"callers", "requests", measureSide},
	{"subscribers", "fanout", measureSide},
	{"drop", "fanout", serveSide},
	{"count", "", measureSide},
	{"duration", "", measureSide},
	{"warm-up", "", measureSide},
	{"connect-timeout", "", measureSide},
	{"end-with-input", "", serveSide},
}

// check refuses flags that would mean nothing.
func (f *benchFlags) check(cmd *cobra.Command, w *benchWork) error {
	if !slices.Contains([]string{bothSides, serveSide, measureSide}, f.side) {
		return &usageError{problem: fmt.Sprintf("--side %q is none", f.side), remedy: "it is serve, measure or both"}
	}
	for _, use := range benchFlagUses {
		if !cmd.Flags().Changed(use.flag) {
			continue
		}
		if use.work != "" && use.work != w.name {
			return &usageError{problem: fmt.Sprintf("--%s is for %s, not %s", use.flag, use.work, w.name), remedy: "leave it out"}
		}
		if f.side != use.side && f.side != bothSides {
			return &usageError{problem: fmt.Sprintf("--%s is for the other side", use.flag), remedy: "give it with --side " + use.side}
		}
	}
	if f.endWithInput && f.side != serveSide {
		return &usageError{problem: "--end-with-input is for --side serve", remedy: "leave it out"}
	}
	if w.name == "fanout" && f.size < sequenceLength {
		return &usageError{problem: "fanout numbers its messages, and needs --size 8 or more", remedy: "leave --size out for 64"}
	}
	return nil
}

// length is how long a run measures at most.
func (f *benchFlags) length() time.Duration {
	switch {
	case f.duration > 0:
		return f.duration
	case f.count > 0:
		return time.Minute
	}
	return 3 * time.Second
}

// benchSize is the size of a message. What is buffered is a multiple of it, so that it has a bound.
type benchSize tincan.Size

const largestBenchSize = 1 << 30

func (s *benchSize) String() string { return tincan.Size(*s).String() }
func (s *benchSize) Type() string   { return "SIZE" }

func (s *benchSize) Set(text string) error {
	size, err := tincan.ParseSize(text)
	if err != nil || size > largestBenchSize {
		return errors.New("it is not a size such as 64, 4KiB or 1MB, of at most 1GiB")
	}
	*s = benchSize(size)
	return nil
}

func (p *program) benchCommand() *cobra.Command {
	f := benchFlags{size: 64, warmUp: 200 * time.Millisecond, callers: 64, subscribers: 10, connectTimeout: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "bench WORK ENDPOINT",
		Short: "Measure what message sockets do over an endpoint",
		Long: `bench measures message sockets over ENDPOINT, the URL of a byte stream (tcp, unix, ipc,
tls, ws, ...), between two processes: it starts itself as the side that listens there
(port 0 takes a free one) and serves the work, dials it, and ends it. WORK is

    latency      round trips, one at a time, and how long they take
    throughput   messages one way, as many as go
    fanout       messages of one publisher to --subscribers N at once, and all they
                 got together; the publisher waits for the slowest, so that nothing
                 is lost, or with --drop for nobody, and what was lost is counted
    requests     requests and replies, of which --callers N are under way at once,
                 and how long each takes

Two hosts are measured with --side serve on the one, which goes on until a signal, and --side
measure on the other, which dials ENDPOINT. Both are given --size and credentials; --drop is
the serving side's, and what says how much is measured the other's. The serving side of
latency and requests echoes: any ZeroMQ REP socket that does, for requests also a ROUTER,
may take its place, and for throughput any PUSH socket.

The run ends after --count or --duration, whichever comes first; what passes in the
--warm-up is not counted. All is measured by the measuring side and its clock alone: a time
from the call that asks to its return, with the whole of the reply; a rate as received, from
the first message on. A caller waits for its reply before it asks again, so that the rate
follows the other side's: the times are those of a system that is busy, not overrun.

Standard output gets a table and a histogram, or with --json one object: "work",
"endpoint", "zmtp", "mechanism", "size", "callers", "subscribers", "drop", "count",
"seconds", "per_second", "bytes_per_second", "dropped", "latency_us" ("min", "p50",
"p90", "p99", "p99.9", "max"), "histogram" (an array of "from_us", "to_us" and "count") and
"versions"; bytes are those of messages, without what the wire adds.

` + securityHelp + `
Where bench starts both sides, --plain is for both, and --curve-secret-key the serving side's; the
measuring side makes a pair of its own.

` + exitCodesHelp + `
A serving side that is not reached in --connect-timeout is 3, one that stalls 4, one that is
lost 5. SIGINT and SIGTERM end a serving side with 0.

` + eventsHelp,
		Example: `  tincan bench latency tcp://127.0.0.1:0
  tincan bench throughput --size 4KiB --duration 10s ipc:///tmp/bench.sock
  tincan bench fanout --subscribers 100 --json unix:bench.sock >fanout.json
  tincan bench requests --side serve 'tcp://*:5555'
  tincan bench requests --side measure --callers 256 tcp://server:5555`,
		Args:              arguments(false, "WORK", "ENDPOINT"),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.bench(cmd, &f, args[0], args[1]) },
		ValidArgsFunction: completeBench,
	}
	f.add(p, cmd)
	return cmd
}

func completeBench(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return benchWorkNames(), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return completeStreams(cmd, args, word)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// A benchRun is one run of bench.
type benchRun struct {
	*program
	flags    *benchFlags
	work     *benchWork
	endpoint *tincan.Endpoint
}

func (p *program) bench(cmd *cobra.Command, f *benchFlags, work, url string) error {
	i := slices.IndexFunc(benchWorks, func(w *benchWork) bool { return w.name == work })
	if i < 0 {
		return &usageError{problem: fmt.Sprintf("bench has no work %q", work), remedy: "it has " + strings.Join(benchWorkNames(), ", ")}
	}
	if err := f.check(cmd, benchWorks[i]); err != nil {
		return err
	}
	e, err := parseStreamEndpoint(url)
	if err != nil {
		return err
	}
	r := &benchRun{program: p, flags: f, work: benchWorks[i], endpoint: e}
	ctx, stop := p.interrupts.context(cmd.Context())
	defer stop()
	if f.timeout > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, f.timeout, &timeoutError{what: "not done within", after: f.timeout})
		defer done()
	}
	switch f.side {
	case serveSide:
		return r.serve(ctx)
	case measureSide:
		m, err := f.security.mechanism(false, true)
		if err != nil {
			return err
		}
		return r.measure(ctx, e, m)
	}
	return r.both(ctx)
}

// options are those of every socket of a run. Handlers that only echo are called inline.
func (r *benchRun) options(m zmtp.Mechanism) *pattern.Options {
	c := r.socketConfig()
	return &pattern.Options{
		Dialer: &tincan.Dialer{Config: c}, ListenConfig: &tincan.ListenConfig{Config: c},
		Security: m, MaxMessage: max(pattern.DefaultMaxMessage, int64(r.flags.size)),
		Handlers: 1, NoDrop: !r.flags.drop,
	}
}
