// Package cli is the tincan command: one file a verb, and beside them what
// the verbs share: flags, exit codes, hints, events, signals and the copying
// between the standard streams and a connection.
package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/capture"
)

// Main runs the command on the process's arguments and standard streams, and
// gives its exit status.
func Main() int {
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return p.run(os.Args[1:])
}

// program is one run of the command: what every verb works with.
type program struct {
	stdin, stdout, stderr *os.File
	// report tells the user, on stderr, what goes on.
	report *reporter
	// interrupts are the signals that end a verb.
	interrupts *interrupts
	observing
	// counters are what the verb counts, nil where nobody wants to know.
	counters *counters
	// recorder is what --record writes to, nil without.
	recorder *capture.Writer
	// helpFailed is why the help could not be written.
	helpFailed error
}

func (p *program) run(args []string) int {
	p.report = newReporter(p.stderr)
	// Until the flags are parsed, which may fail, this is how a program that reads events is known.
	p.report.json = slices.Contains(args, "--json")
	p.interrupts = catchInterrupts()
	defer p.interrupts.stop()
	keepBrokenPipes()

	root := p.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		err = p.helpFailed
	}
	p.report.failure(err)
	return exitCode(err)
}

// config is what dialling and listening start from in every verb.
func (p *program) config() tincan.Config {
	c := tincan.Config{Trace: p.report.hooks()}
	addTransports(&c)
	return c
}

// print writes a verb's result to stdout.
func (p *program) print(text string) error {
	if _, err := p.stdout.WriteString(text); err != nil {
		return &localError{doing: "write standard output", err: err}
	}
	return nil
}

const exitCodesHelp = `Exit codes: 0 done, 1 other failure, 2 usage, 3 could not connect, 4 timed out,
5 reset or cut short, 6 TLS or authorisation, 7 could not bind; 128+n when
signal n ended it.`

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tincan VERB",
		Short: "Open, join and serve sockets of every family",
		Long: `tincan opens, joins and serves sockets: TCP, UDP, TLS, Unix sockets of every
type, WebSocket, vsock and named pipes, all under one form of address:

    tcp://host:port   udp://host:port   tls://host:port    (also tcp4, tcp6, udp4, udp6)
    unix:///path      unix:relative     unix:@abstract     (also unixgram, unixpacket, tls+unix)
    ws://host:port/path   wss://...   ws+unix:path   vsock://cid:port   npipe:name

Verbs that carry messages also speak with a NATS system: nats://host:4222/subject.

Options follow as a query: tcp://:0?reuse-port&allow=10.0.0.0/8. Standard output
carries data alone; words go to standard error.

` + exitCodesHelp,
		Example: `  tincan serve
  printf 'hello\n' | tincan connect tcp://127.0.0.1:27015
  tincan listen --keep-open unix:///tmp/log.sock >log`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          func(cmd *cobra.Command, args []string) error { return unknownVerb(cmd, args) },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		p.helpFailed = p.print(strings.TrimRight(cmd.Long, "\n") + "\n\n" + cmd.UsageString())
	})
	root.SetFlagErrorFunc(flagError)
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help-verb"}) // --help is enough
	root.SetUsageTemplate(usageTemplate)
	root.AddCommand(
		p.serveCommand(), p.connectCommand(), p.listenCommand(), p.relayCommand(), p.recordCommand(), p.replayCommand(),
		p.calcCommand(), p.watchCommand(), p.benchCommand(), p.certCommand(), p.curveKeysCommand(), p.completionCommand(), p.versionCommand(), p.manCommand(),
	)
	root.AddCommand(p.socketCommands()...)
	root.AddCommand(p.proxyCommand(), p.bridgeCommand())
	return root
}

const usageTemplate = `Usage: {{.UseLine}}
{{- if .HasAvailableSubCommands}}

Verbs:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}

tincan VERB --help tells more of each.
{{- end}}
`

func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{problem: "a verb is missing", remedy: "tincan --help tells the verbs"}
	}
	remedy := "tincan --help tells the verbs"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		remedy = "did you mean " + strings.Join(near, " or ") + "? " + remedy
	}
	return &usageError{problem: fmt.Sprintf("unknown verb %q", args[0]), remedy: remedy}
}

// flagError makes pflag's errors usage errors of ours.
func flagError(cmd *cobra.Command, err error) error {
	return &usageError{problem: err.Error(), remedy: cmd.CommandPath() + " --help tells the flags"}
}

// arguments checks that a verb got what its usage line names: at least the
// words of need, and no more unless the last may repeat.
func arguments(repeats bool, need ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(need) {
			return &usageError{problem: fmt.Sprintf("%s needs %s", cmd.Name(), need[len(args)]), remedy: "usage: " + cmd.UseLine()}
		}
		if len(args) > len(need) && !repeats {
			return &usageError{problem: fmt.Sprintf("%s: %q is one argument too many", cmd.Name(), args[len(need)]), remedy: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}
