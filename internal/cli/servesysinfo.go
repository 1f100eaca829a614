package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tincan-ipc/tincan/state"
	"github.com/tincan-ipc/tincan/sysinfo"
)

// sysinfoFlags are the flags of serve that sysinfo has for itself.
type sysinfoFlags struct {
	interval time.Duration
	pids     pidsFlag
	names    []string
}

func (f *sysinfoFlags) add(flags *pflag.FlagSet) {
	flags.Var((*durationFlag)(&f.interval), "interval", "of sysinfo: look so often (1s)")
	flags.Var(&f.pids, "pid", "of sysinfo: look at process `N` too, until it ends; may repeat")
	flags.StringArrayVar(&f.names, "name", nil, "of sysinfo: look at the processes that run a program called `NAME` too; may repeat")
}

// given reports whether one of the flags is.
func (f *sysinfoFlags) given() bool { return f.interval > 0 || len(f.pids)+len(f.names) > 0 }

const sysinfoHelp = `sysinfo looks every --interval, and tells what has changed of the host (CPU, load, memory, file
systems, disks, network, temperatures) and of the processes that --pid and --name choose (CPU,
memory, threads, open files and sockets), by keys such as cpu.0.percent and
proc.17.sockets: docs/management-information.md lists them. What can't be found
out is told once, and has no key.`

// provideSysinfo publishes management information until ctx ends. The first look is all that a client should have to begin with.
func provideSysinfo(ctx context.Context, p *program, f *serveFlags, t *state.Table, begun func()) error {
	c := &sysinfo.Collector{
		Interval: f.sysinfo.interval, PIDs: f.sysinfo.pids, Names: f.sysinfo.names,
		Failed: func(what string, err error) { p.report.note("sysinfo: %s: %v", what, oneLine(err)) },
		Looked: begun,
	}
	if err := c.Run(ctx, t); ctx.Err() == nil {
		return err
	}
	return nil
}

// oneLine writes what is wrong in one line, though it may be several things.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// pidsFlag is process numbers, one each time.
type pidsFlag []int

func (p *pidsFlag) String() string { return "" }
func (p *pidsFlag) Type() string   { return "N" }

func (p *pidsFlag) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return errors.New("it is not the number of a process")
	}
	*p = append(*p, int(n))
	return nil
}

// check refuses the flags where sysinfo isn't among what is published.
func (f *sysinfoFlags) check(published []*publication) error {
	if !f.given() || slices.ContainsFunc(published, func(b *publication) bool { return b.of.name == "sysinfo" }) {
		return nil
	}
	return &usageError{problem: "--interval, --pid and --name are of sysinfo", remedy: "leave them out, or tincan serve sysinfo"}
}
