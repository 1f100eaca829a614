package cli

import (
	"context"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/pattern"
)

// A socket is what every message socket can.
type socket interface {
	Listen(ctx context.Context, endpoint string) (net.Addr, error)
	Dial(endpoint string) error
	WaitPeers(ctx context.Context, n int) error
	Close() error
	socketState
}

// A socketVerb is one kind of message socket as a verb.
type socketVerb struct {
	name, short, long, example string
	// listens says what positional endpoints are for: listened on, or dialled.
	listens bool
	// sends says that the input is sent, counts what --count counts.
	sends  bool
	counts string
	// runs says that the last words may be exec -- PROGRAM.
	runs bool
	// flags adds what the verb has of its own, and check looks at it; they may be nil.
	flags func(f *socketFlags, cmd *cobra.Command)
	check func(r *socketRun) error
	// open makes the socket, and what the verb does with it once its endpoints are there.
	open func(r *socketRun, o *pattern.Options) (socket, func(ctx context.Context) error)
}

func (p *program) socketCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, v := range []*socketVerb{
		pubVerb(), subVerb(), xpubVerb(), xsubVerb(), pushVerb(), pullVerb(), reqVerb(), repVerb(), pairVerb(), dealerVerb(), routerVerb(),
	} {
		commands = append(commands, p.socketCommand(v))
	}
	return commands
}

const socketsHelp = `ENDPOINT is the URL of a byte stream (tcp, unix, ipc, tls, ws, ...), and there may be several.
The wire is ZMTP 3.1: ZeroMQ's sockets in any language are peers. A peer that isn't there (any
more) is tried again for ever, or until --timeout. A peer that this side can't talk to, for
its kind of socket or its credentials, is told; one that was dialled ends the verb.`

func (p *program) socketCommand(v *socketVerb) *cobra.Command {
	var f socketFlags
	does := "dials"
	if v.listens {
		does = "listens on"
	}
	use := v.name + " ENDPOINT..."
	if v.runs {
		use += " [exec -- PROGRAM ARG...]"
	}
	cmd := &cobra.Command{
		Use:   use,
		Short: v.short,
		Long: strings.Join([]string{
			v.long,
			"It " + does + " each ENDPOINT; --listen and --dial say it outright.\n" + socketsHelp,
			formatHelp, securityHelp, metricsHelp(socketMetricsHelp + ","), exitCodesHelp + `
Credentials that don't fit are 6, --timeout is 4. SIGINT and SIGTERM end a socket that
listens with 0, one that only dials with 128+n.`, eventsHelp,
		}, "\n\n"),
		Example:           v.example,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.runSocket(cmd, v, &f, args) },
		ValidArgsFunction: completeStreams,
	}
	p.outputFlags(cmd)
	p.observeFlags(cmd)
	f.add(cmd)
	if v.counts != "" {
		f.addCount(cmd, v.counts)
	}
	if v.sends {
		f.addPacing(cmd)
	}
	if v.flags != nil {
		v.flags(&f, cmd)
	}
	return cmd
}

// completeStreams offers the beginnings of endpoints that carry a byte stream.
func completeStreams(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"tcp://", "ipc://", "unix:", "tls://", "tls+unix:", "ws://", "wss://", "vsock://", "npipe:"},
		cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func pushVerb() *socketVerb {
	return &socketVerb{
		name: "push", short: "Share the lines of input out among the pulling peers", sends: true, counts: "messages",
		long: `push sends each line of input, as one message, to one of its peers (pull), in turn. While there
is none, or none takes more, it waits; nothing is lost while a peer goes and another
comes, but what the lost one had already been handed. It ends with the input, once all is sent.`,
		example: `  seq 100 | tincan push tcp://127.0.0.1:5557
  tail -f app.log | tincan push --listen ipc:///tmp/log.sock --wait-peers 2`,
		flags: (*socketFlags).addWaitPeers,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewPush(o)
			return s, func(ctx context.Context) error { return r.sendAll(ctx, s, s.WaitPeers) }
		},
	}
}

func pullVerb() *socketVerb {
	return &socketVerb{
		name: "pull", short: "Write what the pushing peers send", listens: true, counts: "messages",
		long:    `pull writes each message of its peers (push), one of each in turn, as a line of output.`,
		example: `  tincan pull tcp://127.0.0.1:5557 >work.txt`,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewPull(o)
			return s, func(ctx context.Context) error { return r.receive(ctx, s, func() {}) }
		},
	}
}

func pubVerb() *socketVerb {
	return &socketVerb{
		name: "pub", short: "Publish each line of input to the subscribers", listens: true, sends: true, counts: "messages",
		long: `pub sends each line of input, as one message, to every peer (sub) that has subscribed to
the beginning of its first part. With --topic T that part is T. Nothing is kept for
a subscriber that is not there yet: --wait-peers N waits until N subscriptions
are. A subscriber that is too slow loses messages, which is told with
their number; nobody waits for it.`,
		example: `  seq 10 | tincan pub --topic count --wait-peers 1 tcp://127.0.0.1:5556`,
		flags:   (*socketFlags).addPublisher,
		check:   checkOneTopic,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewPub(o)
			return s, func(ctx context.Context) error { return r.sendAll(ctx, s, s.WaitSubscribers) }
		},
	}
}

func subVerb() *socketVerb {
	return &socketVerb{
		name: "sub", short: "Write what is published on topics", counts: "messages",
		long: `sub subscribes to every message that begins with a --topic, to all without one, and writes
what comes from its peers (pub) as lines of output.`,
		example: `  tincan sub --topic count --topic weather. tcp://127.0.0.1:5556`,
		flags:   (*socketFlags).addSubscriptions,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewSub(o)
			return s, func(ctx context.Context) error {
				topics := r.flags.topics
				if len(topics) == 0 {
					topics = []string{""}
				}
				for _, topic := range topics {
					if err := s.Subscribe(topic); err != nil {
						return err
					}
				}
				return r.receive(ctx, s, func() {})
			}
		},
	}
}

func xpubVerb() *socketVerb {
	return &socketVerb{
		name: "xpub", short: "As pub, and write the subscriptions", listens: true, sends: true, counts: "subscriptions",
		long: `xpub is pub that writes each subscription of its peers (sub, xsub) as a line of output: a
message of the byte 1, or 0 where it is taken back, and the topic (see it with --format hex).`,
		example: `  tincan xpub --format json tcp://127.0.0.1:5556`,
		flags:   (*socketFlags).addPublisher,
		check:   checkOneTopic,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewXPub(o)
			return s, func(ctx context.Context) error {
				if err := r.awaitPeers(ctx, s.WaitSubscribers); err != nil {
					return err
				}
				return r.exchange(ctx, s)
			}
		},
	}
}

func xsubVerb() *socketVerb {
	return &socketVerb{
		name: "xsub", short: "As sub, and send lines of input upstream", sends: true, counts: "messages",
		long: `xsub is sub that also sends each line of input to its peers (pub, xpub): a message of the byte 1,
or 0, and a topic subscribes to it, or takes that back; an xpub gets any other as it is.
Without --topic it subscribes to nothing.`,
		example: `  echo '016b6579' | tincan xsub --format hex tcp://127.0.0.1:5556`,
		flags:   (*socketFlags).addSubscriptions,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewXSub(o)
			return s, func(ctx context.Context) error {
				for _, topic := range r.flags.topics {
					if err := s.Subscribe(topic); err != nil {
						return err
					}
				}
				return r.exchange(ctx, s)
			}
		},
	}
}

func pairVerb() *socketVerb {
	return &socketVerb{
		name: "pair", short: "Messages both ways with one peer", listens: true, sends: true, counts: "messages that came",
		long: `pair sends each line of input to its one peer (pair; one of the two has to --dial), and writes what comes
as lines of output.
` + exchangeHelp,
		example: `  tincan pair tcp://127.0.0.1:5558
  tincan pair --dial tcp://127.0.0.1:5558`,
		flags: (*socketFlags).addWaitPeers,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewPair(o)
			return s, func(ctx context.Context) error { return r.exchangeAll(ctx, s, s.WaitPeers) }
		},
	}
}

const exchangeHelp = `The end of input can't be passed on: when all of it is sent, the verb ends once nothing
has come for 1 s, or with --count N when N messages have come. Where the input is empty
from the start it writes what comes until a signal, --count or --timeout.`

func dealerVerb() *socketVerb {
	return &socketVerb{
		name: "dealer", short: "Share the lines of input out, and write what comes back", sends: true, counts: "messages that came",
		long: `dealer sends each line of input to one of its peers (rep, router, dealer), in turn, and writes what
comes from any as lines of output. To a rep, and to whoever awaits requests of a req, a
message begins with an empty part, and so does its reply.
` + exchangeHelp,
		example: `  printf '\tping\n' | tincan dealer --count 1 tcp://127.0.0.1:5555`,
		flags:   (*socketFlags).addWaitPeers,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewDealer(o)
			return s, func(ctx context.Context) error { return r.exchangeAll(ctx, s, s.WaitPeers) }
		},
	}
}

func routerVerb() *socketVerb {
	return &socketVerb{
		name: "router", short: "Messages to and from peers by name", listens: true, sends: true, counts: "messages that came",
		long: `router writes what comes from its peers (req, dealer, router), with the peer's identity before it as a part,
as lines of output, and sends each line of input to the peer that its first part names;
one that isn't there is an error that is told, and the verb goes on. A peer without an identity
of its own gets 5 bytes, for which --format hex or json is best.
` + exchangeHelp,
		example: `  tincan router --format json tcp://127.0.0.1:5555`,
		flags:   (*socketFlags).addWaitPeers,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewRouter(o)
			return s, func(ctx context.Context) error { return r.exchangeAll(ctx, &tolerantRouter{s, r.report}, s.WaitPeers) }
		},
	}
}
