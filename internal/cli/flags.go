package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tincan-ipc/tincan"
)

// outputFlags adds the flags that say how a verb reports.
func (p *program) outputFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&p.report.json, "json", false, "report events as JSON lines on standard error")
	f.BoolVar(&p.report.trace, "trace", false, "narrate each step, with times and system calls")
}

// sessionFlags are what connect and listen have in common.
type sessionFlags struct {
	connectTimeout time.Duration
	idleTimeout    time.Duration
	timeout        time.Duration
	retry          bool
	backoff        tincan.Backoff
	frame          string
	hex            bool
	rate           tincan.Size // bytes a second, zero without limit
	record         string
	serves         bool // the peer connects to this side; no flag, but the verb's nature
}

func (f *sessionFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var((*durationFlag)(&f.idleTimeout), "idle-timeout", "end when nothing has passed, either way, for so long")
	flags.Var((*durationFlag)(&f.timeout), "timeout", "end after so long, whatever is going on")
	flags.Var((*backoffFlag)(&f.backoff), "backoff", "with --retry, wait `MIN..MAX` between tries (100ms..2s)")
	flags.StringVar(&f.frame, "frame", "", "messages in input and output are framed by `F`: line, nul, len16, len32 or uvarint")
	flags.BoolVar(&f.hex, "hex", false, "dump what passes, each direction marked, on standard error")
	flags.Var((*rateFlag)(&f.rate), "rate", "pass at most so many bytes a second each way, such as 10MiB/s")
	flags.StringVar(&f.record, "record", "", "record what passes in `FILE` (pcapng), for Wireshark and tincan replay")
	if err := cmd.RegisterFlagCompletionFunc("frame", completeFraming); err != nil {
		panic(err) // the flag is not there: a fault of this program
	}
}

// checkBackoff refuses a --backoff that would do nothing.
func checkBackoff(cmd *cobra.Command) error {
	if cmd.Flags().Changed("backoff") && !cmd.Flags().Changed("retry") {
		return &usageError{problem: "--backoff is for --retry", remedy: "leave it out, or add --retry"}
	}
	return nil
}

// limitFlags bound who may connect to a listening verb.
type limitFlags struct{ maxConns, maxConnsPerSource countFlag }

func (l *limitFlags) add(f *pflag.FlagSet) {
	f.Var(&l.maxConns, "max-conns", "serve at most `N` clients at once")
	f.Var(&l.maxConnsPerSource, "max-conns-per-source", "serve at most `N` clients of one address, or user, at once")
}

// apply sets the limits for endpoints whose URL doesn't say otherwise. What a
// connection is to a stream, a flow is to datagrams.
func (l *limitFlags) apply(o *tincan.Options) {
	o.MaxConns, o.MaxFlows, o.MaxConnsPerSource = int(l.maxConns), int(l.maxConns), int(l.maxConnsPerSource)
}

// durationFlag is a duration above zero.
type durationFlag time.Duration

func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}
func (d *durationFlag) Type() string { return "D" }

func (d *durationFlag) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return errors.New("it is not a duration such as 500ms, 30s or 2m")
	}
	*d = durationFlag(v)
	return nil
}

// drainFlag is a duration that may be zero, which [service.Server] and its
// like take for their default: then it is negative, at once.
type drainFlag time.Duration

func (d *drainFlag) String() string { return time.Duration(*d).String() }
func (d *drainFlag) Type() string   { return "D" }

func (d *drainFlag) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return errors.New("it is not a duration such as 500ms, 30s or 0s")
	}
	*d = drainFlag(v)
	return nil
}

// backoffFlag is "MIN..MAX", or one duration for both.
type backoffFlag tincan.Backoff

func (b *backoffFlag) String() string { return "" }
func (b *backoffFlag) Type() string   { return "MIN..MAX" }

func (b *backoffFlag) Set(s string) error {
	lo, hi, ranged := strings.Cut(s, "..")
	if !ranged {
		hi = lo
	}
	var shortest, longest durationFlag
	if shortest.Set(lo) != nil || longest.Set(hi) != nil || longest < shortest {
		return errors.New("it is not a range of durations such as 100ms..2s")
	}
	b.Min, b.Max = time.Duration(shortest), time.Duration(longest)
	return nil
}

// rateFlag is a size, with or without "/s".
type rateFlag tincan.Size

func (r *rateFlag) String() string {
	if *r == 0 {
		return ""
	}
	return tincan.Size(*r).String() + "/s"
}
func (r *rateFlag) Type() string { return "RATE" }

func (r *rateFlag) Set(s string) error {
	size, err := tincan.ParseSize(strings.TrimSuffix(s, "/s"))
	if err != nil || size == 0 {
		return errors.New("it is not a rate such as 64KiB/s or 10MB/s")
	}
	*r = rateFlag(size)
	return nil
}

// countFlag is a whole number above zero.
type countFlag int

func (c *countFlag) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.Itoa(int(*c))
}
func (c *countFlag) Type() string { return "N" }

func (c *countFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("it is not a number of 1 or more")
	}
	*c = countFlag(n)
	return nil
}

// parseEndpoint reads a URL for a verb of the command, which is one process:
// what is in another's memory is out of its reach.
func parseEndpoint(url string) (*tincan.Endpoint, error) {
	e, err := tincan.ParseEndpoint(url)
	if err != nil {
		return nil, err
	}
	if e.Scheme == "mem" {
		return nil, &tincan.EndpointError{Input: url, Problem: "mem is within one process alone", Remedy: "use unix: to reach another process of this host"}
	}
	return e, nil
}

// retriesFlag is a whole number of 0 or more.
type retriesFlag int

func (r *retriesFlag) String() string { return strconv.Itoa(int(*r)) }
func (r *retriesFlag) Type() string   { return "N" }

func (r *retriesFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("it is not a number of 0 or more")
	}
	*r = retriesFlag(n)
	return nil
}
