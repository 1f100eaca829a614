// Command bench runs tincan and its rivals side by side and prints a table of
// medians, ranges and ratios. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(partyEnv) != "" {
		if err := runParty(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := bench(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// A config is the command line.
type config struct {
	options
	reps     int
	only     *regexp.Regexp
	of       *regexp.Regexp
	json     string
	profiles string
	require  bool
	list     bool
}

// minReps is the least from which a median and a range can be given.
const minReps = 5

func parseFlags(args []string, out io.Writer) (*config, error) {
	c := &config{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	only := f.String("run", "", "only works whose \"suite: work, placement\" matches this `regexp`")
	of := f.String("contenders", "", "only contenders whose name matches this `regexp`, and what ratios are taken to")
	f.IntVar(&c.reps, "reps", minReps, "repetitions of each work, 5 or more")
	f.DurationVar(&c.time, "time", time.Second, "length of one load, from 10ms to 30s; a fifth of it is added to warm up")
	f.StringVar(&c.json, "json", "results/latest.json", "save the numbers in this `file`; empty for none")
	f.StringVar(&c.profiles, "profile", "", "parties in Go write CPU and heap profiles into this `folder`")
	f.BoolVar(&c.require, "require-rivals", false, "fail where a rival is missing")
	f.BoolVar(&c.list, "list", false, "list the works and end")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage // f has said why
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case c.reps < minReps:
		err = fmt.Errorf("-reps %d: at least %d are needed", c.reps, minReps)
	case c.time < 10*time.Millisecond || c.time > 30*time.Second:
		err = fmt.Errorf("-time %v: it goes from 10ms to 30s", c.time)
	default:
		var onlyErr, ofErr error
		c.only, onlyErr = regexp.Compile(*only)
		c.of, ofErr = regexp.Compile(*of)
		err = errors.Join(onlyErr, ofErr)
	}
	if err != nil {
		fmt.Fprintf(out, "bench: %v\n", err)
		return nil, errUsage
	}
	return c, nil
}

// bench does what the command line asks for.
func bench(ctx context.Context, args []string, out io.Writer) error {
	c, err := parseFlags(args, os.Stderr)
	if err != nil {
		return err
	}
	type job struct {
		suite string
		work  work
	}
	var jobs []job
	for _, s := range suites() {
		if c.list {
			fmt.Fprintf(out, "%s: %s\n", s.name, s.summary)
		}
		for _, w := range s.works(c.options) {
			title := fmt.Sprintf("%s: %s, %s", s.name, w.name, w.place)
			if !c.only.MatchString(title) {
				continue
			}
			jobs = append(jobs, job{s.name, w.of(c.of)})
			if c.list {
				fmt.Fprintln(out, "   ", title)
			}
		}
	}
	if c.list {
		return nil
	}
	if len(jobs) == 0 {
		return errors.New("no work matches; -list names them")
	}
	cores, err := allowedCores()
	if err != nil {
		return fmt.Errorf("this runs on Linux: %w", err)
	}
	if c.profiles != "" {
		if c.profiles, err = filepath.Abs(c.profiles); err != nil {
			return err
		}
		if err := os.MkdirAll(c.profiles, 0o777); err != nil {
			return err
		}
	}
	l, err := newLab(ctx, cores, c.profiles)
	if err != nil {
		return err
	}
	defer func() { _ = l.close() }() // the numbers are worth more than a folder left behind

	r := &report{Time: time.Now().UTC(), System: l.describeSystem(ctx), Repetitions: c.reps, LoadSeconds: c.time.Seconds()}
	r.System.write(out)
	fmt.Fprintf(out, "%d interleaved repetitions, loads of %v\n", c.reps, c.time)
	for _, j := range jobs {
		results := compare(ctx, j.work, c.reps, l.missingFor(j.work), l.once(j.work, c.time))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, wr := range newWorkReports(j.suite, j.work, results) {
			if err := wr.write(out); err != nil {
				return err
			}
			r.Works = append(r.Works, wr)
		}
	}
	return r.finish(out, c)
}

// finish says how it came out, and saves the numbers.
func (r *report) finish(out io.Writer, c *config) error {
	targets, reached, failed, missing := r.count()
	fmt.Fprintf(out, "\n%d of %d targets reached\n", reached, targets)
	for _, m := range missing {
		fmt.Fprintf(out, "missing: %s\n", m)
	}
	if c.json != "" {
		if err := r.save(c.json); err != nil {
			return err
		}
		fmt.Fprintf(out, "saved in %s\n", c.json)
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d contenders failed", failed)
	case c.require && len(missing) > 0:
		return fmt.Errorf("%d programs are missing, and -require-rivals is set", len(missing))
	}
	return nil
}
