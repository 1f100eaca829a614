package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/pattern"
)

// bridgeFlags are the flags of bridge.
type bridgeFlags struct {
	listen, dial, topics []string
	headers              bool
	socket               socketFlags
}

func (p *program) bridgeCommand() *cobra.Command {
	var f bridgeFlags
	cmd := &cobra.Command{
		Use:   "bridge ENDPOINT... nats://HOST/SUBJECT",
		Short: "Join message sockets of this host with NATS",
		Long: `bridge joins a message socket, and so the ZeroMQ programs of this host, with a subject of
NATS; the bridges of many hosts make one system. What stands before the URL of each
ENDPOINT is the kind of socket that the bridge has there, all of one kind:
    sub+URL    what publishers here publish goes to the subjects of its topics under SUBJECT
    pub+URL    what is published under SUBJECT goes to the subscribers here
    pull+URL   what is pushed here is stored in the work queue SUBJECT (JetStream)
    push+URL   what the work queue holds is shared out among the pulling peers here
    rep+URL    requests from here are answered by whoever serves SUBJECT
    req+URL    requests on SUBJECT are answered by the replying peers here
    state+URL  the state that is served at URL is kept in the key-value bucket SUBJECT;
               with --listen, the state in the bucket is served at URL
It listens on the ENDPOINT of pub, pull and rep, and dials that of sub, push and req;
--listen and --dial say it outright.

What is published, and requests, pass at most once. What is pushed is delivered at least once
after it has been stored, and handed out again until a peer's connection has taken it, or
it goes to the dead letters, SUBJECT.dead. A topic's dots part the tokens of a subject, and end
what the servers choose by: --topic weather. brings less than --topic weather.

HOST may be several with commas between them: host1:4222,host2:4222. USER:PASSWORD@ or TOKEN@
goes before it; tls+nats:// demands TLS. Options follow as a query: creds=FILE, nkey=FILE,
ca=FILE, cert=FILE, key=FILE, server-name=NAME, timeout=D (of a request), queue=GROUP, and of a
work queue stream=NAME, replicas=N, max-bytes=SIZE, ack-wait=D, max-deliver=N, dead-letter=SUBJECT.

SIGINT or SIGTERM passes on what has come, within --drain, and exits with 0; what was pushed here and could not
be stored by then is told, and the exit code is 1.

` + socketsHelp + `

` + securityHelp + `

` + metricsHelp(socketMetricsHelp) + `

` + exitCodesHelp + `

` + eventsHelp,
		Example: `  tincan bridge --listen sub+tcp://127.0.0.1:5556 nats://127.0.0.1:4222/news
  tincan bridge --topic weather. pub+tcp://127.0.0.1:5557 nats://127.0.0.1:4222/news
  tincan bridge pull+tcp://127.0.0.1:5558 'nats://n1,n2,n3/jobs?replicas=3&creds=app.creds'
  tincan bridge --listen state+unix:state.sock nats://127.0.0.1:4222/state`,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.bridge(cmd, &f, args) },
		ValidArgsFunction: completeBridge,
	}
	p.outputFlags(cmd)
	p.observeFlags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.listen, "listen", nil, "listen on `ENDPOINT`; may repeat")
	flags.StringArrayVar(&f.dial, "dial", nil, "dial `ENDPOINT`, for as long as it takes; may repeat")
	flags.StringArrayVar(&f.topics, "topic", nil, "of pub and sub, pass on what begins with `T` alone; may repeat")
	flags.BoolVar(&f.headers, "headers", false, "mark messages for another bridge behind a proxy, by a last part: loops end then")
	f.socket.addQueues(cmd)
	return cmd
}

func completeBridge(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, k := range bridgeKinds {
		all = append(all, k.name+"+tcp://", k.name+"+unix:")
	}
	return append(all, statePrefix+"tcp://", statePrefix+"unix:", "nats://", "tls+nats://"), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// A bridging is one run of bridge.
type bridging struct {
	bridge *natsbridge.Bridge
	nc     *nats.Conn
	e      *natsbridge.Endpoint
	queue  *natsbridge.Queue // of push and pull
	topics []string
	drain  time.Duration
	joined func() // tells that messages pass
}

// A bridgeKind is a kind of socket that can be joined with NATS.
type bridgeKind struct {
	name            string
	listens, queues bool
	topics          bool
	// open makes the socket, and what joins it until ctx ends.
	open func(b *bridging, o *pattern.Options) (proxySocket, func(ctx context.Context) error)
}

var bridgeKinds = []bridgeKind{
	{name: "sub", topics: true, open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewSub(o)
		return s, func(ctx context.Context) error {
			for _, topic := range b.topics {
				if err := s.Subscribe(topic); err != nil {
					return err
				}
			}
			b.joined()
			return b.bridge.Publish(ctx, s, b.nc, b.e.Subject)
		}
	}},
	{name: "pub", listens: true, topics: true, open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewPub(o)
		return s, func(ctx context.Context) error {
			return b.bridge.Subscribe(ctx, b.nc, b.e.Subject, s, b.joined, b.topics...)
		}
	}},
	{name: "pull", listens: true, queues: true, open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewPull(o)
		return s, func(ctx context.Context) error {
			b.joined()
			return b.bridge.Enqueue(ctx, s, b.queue, b.drain)
		}
	}},
	{name: "push", queues: true, open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewPush(o)
		return s, func(ctx context.Context) error {
			b.joined()
			return b.bridge.Dequeue(ctx, b.queue, s, b.drain)
		}
	}},
	{name: "rep", listens: true, open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewRep(o)
		return s, func(ctx context.Context) error {
			b.joined()
			return b.bridge.Ask(ctx, s, b.nc, b.e.Subject)
		}
	}},
	{name: "req", open: func(b *bridging, o *pattern.Options) (proxySocket, func(context.Context) error) {
		s := pattern.NewClient(o)
		return s, func(ctx context.Context) error {
			return b.bridge.Answer(ctx, b.nc, b.e.Subject, s, &natsbridge.ServeOptions{
				Queue: b.e.Options.Queue, Drain: max(b.drain, 1), Ready: b.joined,
			})
		}
	}},
}

// plan reads the arguments: the kind of socket, where it listens and dials, and the subject.
func (f *bridgeFlags) plan(args []string) (k *bridgeKind, sides []proxySide, e *natsbridge.Endpoint, err error) {
	usage := "as in tincan bridge sub+tcp://127.0.0.1:5556 nats://127.0.0.1:4222/news"
	if len(args) == 0 || !natsbridge.IsEndpoint(args[len(args)-1]) {
		return nil, nil, nil, &usageError{problem: "the last argument is not nats://HOST/SUBJECT", remedy: usage}
	}
	if e, err = natsbridge.ParseEndpoint(args[len(args)-1]); err != nil {
		return nil, nil, nil, err
	}
	add := func(text string, side func(k *bridgeKind) bool) error {
		name, url, _ := strings.Cut(text, "+")
		var found *bridgeKind
		for i := range bridgeKinds {
			if bridgeKinds[i].name == name {
				found = &bridgeKinds[i]
			}
		}
		switch {
		case found == nil:
			return &usageError{problem: fmt.Sprintf("%q does not begin with the kind of its socket", text), remedy: "kinds are sub+, pub+, pull+, push+, rep+, req+ and state+, " + usage}
		case k != nil && k != found:
			return &usageError{problem: fmt.Sprintf("a %s socket and a %s socket can't be joined at once", k.name, found.name), remedy: "run a bridge for each"}
		}
		k = found
		endpoint, err := parseStreamEndpoint(url)
		if err == nil {
			sides = append(sides, proxySide{url: endpoint.String(), dial: side(k)})
		}
		return err
	}
	for _, group := range []struct {
		urls []string
		dial func(k *bridgeKind) bool
	}{
		{args[:len(args)-1], func(k *bridgeKind) bool { return !k.listens }},
		{f.listen, func(*bridgeKind) bool { return false }},
		{f.dial, func(*bridgeKind) bool { return true }},
	} {
		for _, url := range group.urls {
			if err := add(url, group.dial); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	switch {
	case k == nil:
		return nil, nil, nil, &usageError{problem: "an ENDPOINT is missing", remedy: usage}
	case len(f.topics) > 0 && !k.topics:
		return nil, nil, nil, &usageError{problem: "--topic is for pub and sub alone", remedy: "leave it out"}
	}
	return k, sides, e, nil
}

// bridge joins until a signal.
func (p *program) bridge(cmd *cobra.Command, f *bridgeFlags, args []string) error {
	if f.isState(args) {
		return p.bridgeState(cmd, f, args)
	}
	kind, sides, e, err := f.plan(args)
	if err != nil {
		return err
	}
	listens, dials := false, false
	for _, side := range sides {
		listens, dials = listens || !side.dial, dials || side.dial
	}
	mechanism, err := f.socket.security.mechanism(listens, dials)
	if err != nil {
		return err
	}
	stopping, stop := p.interrupts.context(cmd.Context())
	defer stop()
	running, cancel := context.WithCancelCause(stopping)
	defer cancel(nil)
	stopObserving, err := p.observe(running, "bridge")
	if err != nil {
		return ended(running, err)
	}
	defer stopObserving()
	b := &bridging{e: e, topics: f.topics, drain: f.socket.drain, joined: func() { p.report.joined(e) }}
	if len(b.topics) == 0 {
		b.topics = []string{""}
	}
	teller := &natsTeller{report: p.report}
	b.bridge = &natsbridge.Bridge{Headers: f.headers, Timeout: e.Options.Timeout, OnEvent: teller.event}
	o := f.socket.options(p, mechanism)
	o.Linger = max(f.socket.drain, 1)
	o.OnEvent = (&socketTeller{report: p.report, giveUp: cancel}).event
	if err := p.join(running, b, kind, sides, b.bridge.SocketOptions(o), f.socket.backoff, teller); err != nil && stopping.Err() == nil {
		if cause := context.Cause(running); cause != nil {
			return cause
		}
		return err
	} else if errors.As(err, new(*pattern.DiscardError)) {
		return err // an orderly end, but for what was lost
	}
	return nil
}

// join connects to NATS, opens the socket and passes messages on until ctx ends and what had come has passed.
func (p *program) join(ctx context.Context, b *bridging, k *bridgeKind, sides []proxySide, o *pattern.Options, backoff tincan.Backoff, teller *natsTeller) (err error) {
	if b.nc, err = p.connectNATS(ctx, b.e, backoff); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, natsbridge.Close(b.nc, b.drain)) }()
	if k.queues {
		u := b.e.Options
		if b.queue, err = natsbridge.OpenQueue(ctx, b.nc, b.e.Subject, &natsbridge.QueueOptions{
			Stream: u.Stream, Replicas: u.Replicas, MaxBytes: u.MaxBytes, AckWait: u.AckWait,
			MaxDeliver: u.MaxDeliver, DeadLetter: u.DeadLetter, OnEvent: teller.event,
		}); err != nil {
			return err
		}
	}
	counted := p.counters.socket(o)
	s, run := k.open(b, o)
	counted.made(s)
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, side := range sides {
		at := side.url
		if side.dial {
			err = s.Dial(at)
		} else if addr, listenErr := s.Listen(ctx, at); listenErr != nil {
			err = listenErr
		} else {
			at = addr.String()
			p.report.listening("", at)
		}
		if err != nil {
			return err
		}
		counted.at(at)
	}
	return run(ctx)
}

// joined tells that messages pass to and from NATS.
func (r *reporter) joined(e *natsbridge.Endpoint) {
	if r.json {
		r.emit(event{Event: "connected", URL: e.Redacted()})
		return
	}
	r.note("joined with %s", e.Redacted())
}
