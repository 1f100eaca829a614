package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/pattern"
)

// proxyKinds are the devices that two sockets make: what listens for those who ask, publish or
// push, and what listens for those who answer, subscribe or pull.
var proxyKinds = []struct {
	name, short string
	front, back func(o *pattern.Options) proxySocket
}{
	{"queue", "req, dealer | rep, dealer", asSocket(pattern.NewRouter), asSocket(pattern.NewDealer)},
	{"forwarder", "pub | sub", asSocket(pattern.NewXSub), asSocket(pattern.NewXPub)},
	{"streamer", "push | pull", asSocket(pattern.NewPull), asSocket(pattern.NewPush)},
}

// A proxySocket is one of a proxy's sockets.
type proxySocket interface {
	pattern.Socket
	socketState
}

func asSocket[S proxySocket](open func(*pattern.Options) S) func(*pattern.Options) proxySocket {
	return func(o *pattern.Options) proxySocket { return open(o) }
}

// proxyCommandFlags are the flags of proxy.
type proxyCommandFlags struct {
	kind                string
	dialFront, dialBack bool
	capture             string
	socket              socketFlags
}

func (p *program) proxyCommand() *cobra.Command {
	var f proxyCommandFlags
	cmd := &cobra.Command{
		Use:   "proxy FRONT BACK",
		Short: "Pass messages on between two message sockets",
		Long: `proxy joins two message sockets, so that many peers on either side know one address
alone. --kind says which:
    queue      FRONT for those that ask (req, dealer), BACK for workers (rep, dealer)
    forwarder  FRONT for publishers (pub), BACK for subscribers (sub), whose subscriptions pass upstream
    streamer   FRONT for those that push, BACK for those that pull
It listens on both; --dial-front and --dial-back dial instead. --capture publishes every message
that passes on an ENDPOINT of its own, for tincan sub. A side with no room holds up the
other, so that nothing is lost, but that a forwarder drops for a subscriber that is too slow.
SIGINT or SIGTERM passes on what has come, within --drain, and exits with 0.

` + socketsHelp + `

` + securityHelp + `

` + metricsHelp(socketMetricsHelp+",\neach by side (front, back, capture)") + `

` + exitCodesHelp + `

` + eventsHelp,
		Example: `  tincan proxy tcp://127.0.0.1:5559 tcp://127.0.0.1:5560
  tincan proxy --kind forwarder ipc:///tmp/pub.sock ipc:///tmp/sub.sock --capture ipc:///tmp/seen.sock`,
		Args:              arguments(false, "FRONT", "BACK"),
		RunE:              func(cmd *cobra.Command, args []string) error { return p.proxy(cmd.Context(), &f, args[0], args[1]) },
		ValidArgsFunction: completeStreams,
	}
	p.outputFlags(cmd)
	p.observeFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "kind", "queue", "what the two are: queue, forwarder or streamer")
	flags.BoolVar(&f.dialFront, "dial-front", false, "dial FRONT instead of listening on it")
	flags.BoolVar(&f.dialBack, "dial-back", false, "dial BACK instead of listening on it")
	flags.StringVar(&f.capture, "capture", "", "publish every message that passes on `ENDPOINT`")
	f.socket.addQueues(cmd)
	if err := cmd.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{"queue", "forwarder", "streamer"}, cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // the flag is not there: a fault of this program
	}
	return cmd
}

// proxy passes messages on until a signal.
func (p *program) proxy(ctx context.Context, f *proxyCommandFlags, frontURL, backURL string) error {
	kind := -1
	for i, k := range proxyKinds {
		if k.name == f.kind {
			kind = i
		}
	}
	if kind < 0 {
		return &usageError{problem: fmt.Sprintf("unknown kind %q", f.kind), remedy: "--kind takes queue, forwarder or streamer"}
	}
	sides := []proxySide{
		{name: "front", url: frontURL, dial: f.dialFront, open: proxyKinds[kind].front},
		{name: "back", url: backURL, dial: f.dialBack, open: proxyKinds[kind].back},
	}
	if f.capture != "" {
		sides = append(sides, proxySide{name: "capture", url: f.capture, open: asSocket(pattern.NewPub)})
	}
	for i := range sides {
		e, err := parseStreamEndpoint(sides[i].url)
		if err != nil {
			return err
		}
		sides[i].url = e.String()
	}
	mechanism, err := f.socket.security.mechanism(!f.dialFront || !f.dialBack || f.capture != "", f.dialFront || f.dialBack)
	if err != nil {
		return err
	}
	stopping, stop := p.interrupts.context(ctx)
	defer stop()
	running, cancel := context.WithCancelCause(stopping)
	defer cancel(nil)
	stopObserving, err := p.observe(running, "proxy")
	if err != nil {
		return ended(running, err)
	}
	defer stopObserving()
	o := f.socket.options(p, mechanism)
	o.Linger = max(f.socket.drain, 1)
	o.OnEvent = (&socketTeller{report: p.report, giveUp: cancel}).event

	var sockets []pattern.Socket
	for _, side := range sides {
		if err == nil {
			var s pattern.Socket
			s, err = p.openSide(running, o, side)
			sockets = append(sockets, s)
		}
	}
	if err == nil {
		var capture pattern.Sender
		if f.capture != "" {
			capture = sockets[2].(pattern.Sender)
		}
		err = pattern.Proxy(running, sockets[0], sockets[1], capture)
	}
	var closing []error
	for _, s := range sockets {
		closing = append(closing, s.Close())
	}
	switch cause := context.Cause(running); {
	case errors.As(cause, new(interruptError)):
		return errors.Join(closing...) // nothing, in a server's orderly end, unless messages were discarded
	case cause != nil:
		return cause
	}
	return err
}

// A proxySide is where one socket of a proxy finds its peers.
type proxySide struct {
	name string // as metrics have it
	url  string
	dial bool
	open func(o *pattern.Options) proxySocket
}

// openSide makes a socket with the options o, and has it dial or listen. The caller closes it, after an error too.
func (p *program) openSide(ctx context.Context, o *pattern.Options, side proxySide) (pattern.Socket, error) {
	own := *o
	counted := p.counters.socket(&own, label{"side", side.name})
	s := side.open(&own)
	counted.made(s)
	url := side.url
	if side.dial {
		if err := s.Dial(url); err != nil {
			return s, err
		}
	} else {
		addr, err := s.Listen(ctx, url)
		if err != nil {
			return s, err
		}
		url = addr.String()
		p.report.listening("", url)
	}
	counted.at(url)
	return s, nil
}
