package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/service"
)

// relayFlags are the flags of relay.
type relayFlags struct {
	sessionFlags
	limits    limitFlags
	proxies   relayProxyFlags
	drain     time.Duration
	rateTotal rateFlag
	balance   bool
	pty       bool
}

func (p *program) relayCommand() *cobra.Command {
	f := relayFlags{drain: service.DefaultDrain}
	cmd := &cobra.Command{
		Use:   "relay FROM TO... | relay FROM exec -- PROGRAM [ARG...]",
		Short: "Every client of FROM gets its own connection to TO",
		Long: `relay listens on FROM and gives each client a connection of its own to TO. What
one side sends the other receives, whole and in order, and each end is passed on
as what it was: a half-close as a half-close, which the other direction
outlives, and a reset as a reset. Nothing that a client sends while TO can't be
reached is lost: it waits until --retry has connected.

` + relayEndsHelp + `

` + relayKindsHelp + `

FROM that is stdio:, file: or one connection makes the relay a single transfer,
and so does a TO that is stdio: or fd:, for which one client is accepted. Its end is
the command's: a side that resets is named and the exit code is 5, and of a
program it is the program's own status. Else the relay runs until SIGINT or
SIGTERM: it stops accepting, lets what is in flight finish within --drain and
exits with 0; a second signal ends it at once. What ends one client, but for
an orderly end, is told in a line. Clients for whom, with their connections to TO,
the descriptors (ulimit -n) aren't enough wait until others have gone.

` + relayProxyHelp + `

` + programHelp + `

` + exitCodesHelp + `
A limit of --connect-timeout, --idle-timeout or --timeout that passed is 4.

` + eventsHelp + `
Of a relay's connections the event closed has "remote", the client, "url", where it
was relayed to, "received" from and "sent" to the client, and "side" (from or to), the
one that failed. --hex marks what goes to TO with > (forward) and what comes back with < (backward).

` + metricsHelp(relayMetricsHelp),
		Example: `  tincan relay tcp://:8080 tcp://10.0.0.7:80
  tincan relay 'tls://*:443?cert=host.pem&key=host-key.pem' unix:///run/app.sock
  tincan relay --balance tcp://*:80 tcp://10.0.0.7:80 tcp://10.0.0.8:80
  tincan relay 'udp://:5353?flow-timeout=5s' udp://192.0.2.53:53
  tincan relay --frame line tcp://:9000 unixgram:/run/log.sock
  tincan relay --proxy socks5://127.0.0.1:1080 tcp://:8443 tcp://example.org:443
  tincan relay --send-proxy v2 'tcp://*:80' tcp://10.0.0.7:8080
  tincan relay tcp://:7000 exec -- sh -c 'echo "hello $TINCAN_REMOTE"; cat'
  tincan relay file:backup.tar tcp://10.0.0.7:9000
  tincan relay systemd:http unix:///run/app.sock`,
		ValidArgsFunction: completeRelay,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.relay(cmd, &f, args) }
	p.outputFlags(cmd)
	f.add(cmd)
	f.limits.add(cmd.Flags())
	f.proxies.add(cmd.Flags())
	flags := cmd.Flags()
	flags.Lookup("frame").Usage = "where a stream meets messages, in the stream they are framed by `F`: line, nul, len16, len32 or uvarint"
	flags.Lookup("rate").Usage = "of each connection pass at most so many bytes a second, both ways together, such as 10MiB/s"
	flags.Lookup("idle-timeout").Usage = "end a connection when nothing has passed, either way, for so long"
	flags.Lookup("timeout").Usage = "end a connection after so long, whatever is going on"
	flags.Var(&f.rateTotal, "rate-total", "of all connections together pass at most so many bytes a second")
	flags.Var((*drainFlag)(&f.drain), "drain", "after a signal, let what is in flight finish for so long")
	flags.Var((*durationFlag)(&f.connectTimeout), "connect-timeout", "give up a try to connect to TO, handshakes included, after so long")
	flags.BoolVar(&f.retry, "retry", false, "try again while TO can't be reached")
	flags.BoolVar(&f.balance, "balance", false, "begin with each TO in turn, instead of the first")
	flags.BoolVar(&f.pty, "pty", false, "give PROGRAM a pseudo-terminal")
	p.observeFlags(cmd)
	return cmd
}

const relayEndsHelp = `FROM is any URL, or:
    stdio:               standard input and output
    file:PATH            a file that is read; what comes back is discarded
    fd:N                 an inherited descriptor: a socket that listens or is
                         connected, a pipe or a file; a datagram socket without
                         a peer is listened on
    systemd:NAME         the sockets passed under NAME (LISTEN_FDNAMES), or all: of
                         ListenStream=, or of ListenDatagram= and
                         ListenSequentialPacket=, which carry messages
TO is one or more URLs, or one of:
    stdio:, fd:N         as above
    file:PATH?append&mode=0640
                         a file that is written. It is made with mode 0600 unless
                         told, and emptied unless append; links are followed
    exec -- PROGRAM ...  the last words: a program, its arguments as they are
A terminal, such as a serial port, is both read and written as file:PATH.
Of several URLs the first that answers is taken, or with --balance each in turn
first; one that could not be reached is tried after the others for 10 s. The
process is told to be ready, and stopping, where NOTIFY_SOCKET asks for it.`

const relayKindsHelp = `Messages stay messages from udp, unixgram, unixpacket and ws, and from inherited
sockets of these kinds, to any of these; a datagram peer of FROM has a connection
of its own until it was silent for ?flow-timeout= (60 s).
Where a stream meets messages --frame says how they are told apart in the
stream; a message that doesn't fit the other side is dropped, which is told.
ws carries a stream, but messages with --frame or towards a side that has only these.
udp, unixgram and ws can't pass on that one direction has ended: behind the end of the
other side's input such a side is closed when nothing has come for a second.`

const programHelp = `PROGRAM has pipes for standard input and output, and shares standard error; with
--pty a pseudo-terminal is all three. A half-close ends its input, on a terminal as Ctrl-D does. Each client of FROM gets
a program of its own, in a process group of its own, which gets the signals that
end the relay: of a single transfer at once, else when the drain is over.
Its environment says who is served: TINCAN_FROM (the URL), TINCAN_REMOTE,
TINCAN_REMOTE_HOST, TINCAN_REMOTE_PORT, TINCAN_LOCAL, TINCAN_LOCAL_HOST and
TINCAN_LOCAL_PORT (addresses, where the family has them), and of a client on a
Unix socket TINCAN_UID, TINCAN_GID and TINCAN_PID.`

func (p *program) relay(cmd *cobra.Command, f *relayFlags, args []string) error {
	plan, err := planRelay(cmd, f, args)
	if err != nil {
		return err
	}
	stopRecording, err := p.startRecording(f.record)
	if err != nil {
		return err
	}
	defer stopRecording()
	ctx := cmd.Context()
	stopping, stop := p.interrupts.context(ctx)
	defer stop()
	stopObserving, err := p.observe(stopping, "relay")
	if err != nil {
		return ended(stopping, err)
	}
	defer stopObserving()
	r, err := newRelaying(stopping, p, f, plan)
	if err != nil {
		return err
	}
	listeners, single, err := r.openFrom(stopping)
	if err != nil {
		return ended(stopping, err)
	}
	if single != nil {
		return r.transfer(ctx, single)
	}
	return r.serve(listeners)
}
