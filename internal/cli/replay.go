package cli

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/capture"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	flow    countFlag
	second  bool
	fast    bool
	check   bool
	list    bool
	connect time.Duration
	wait    time.Duration
}

func (p *program) replayCommand() *cobra.Command {
	f := replayFlags{flow: 1, wait: 5 * time.Second}
	cmd := &cobra.Command{
		Use:   "replay FILE ENDPOINT",
		Short: "Play a recorded connection to an endpoint",
		Long: `replay connects to ENDPOINT and sends what one side of a recorded connection
sent, each piece when it was sent then, with its half-close or reset. What the
peer answers is written to standard output. FILE is one that --record made, or a
pcap or pcapng file of tcpdump or Wireshark: a TCP connection is played to a
stream, a flow of UDP datagrams to an endpoint of messages.

With --fast there are no pauses, but a piece still waits until the peer has
answered as much as it had then. With --check an answer that differs from the
recorded one, or ends in another way, is told and the exit code is 1.
--list, without ENDPOINT, tells the connections in FILE.

` + exitCodesHelp,
		Example: `  tincan relay --record trace.pcapng tcp://:8000 tcp://10.0.0.7:80
  tincan replay --list trace.pcapng
  tincan replay --check --fast trace.pcapng tcp://10.0.0.8:80 >answer`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return arguments(false, "FILE")(cmd, args)
			}
			return arguments(false, "FILE", "ENDPOINT")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return p.listRecording(args[0])
			}
			return p.replay(cmd.Context(), &f, args[0], args[1])
		},
	}
	p.outputFlags(cmd)
	flags := cmd.Flags()
	flags.Var(&f.flow, "flow", "play connection `N` of the file, counted from 1")
	flags.BoolVar(&f.second, "second", false, "play the side that was connected to, instead of the one that connected")
	flags.BoolVar(&f.fast, "fast", false, "play without the recorded pauses")
	flags.BoolVar(&f.check, "check", false, "fail if the answer is not the recorded one")
	flags.BoolVar(&f.list, "list", false, "tell the connections in FILE")
	flags.Var((*durationFlag)(&f.connect), "connect-timeout", "give up connecting, handshakes included, after so long")
	flags.Var((*durationFlag)(&f.wait), "wait", "wait at most so long for the rest of the answer")
	return cmd
}

// openRecording reads a capture. What can't be read of it is told, and the rest is used.
func (p *program) openRecording(file string) (*capture.Recording, error) {
	r, err := capture.Open(file)
	switch {
	case r == nil || len(r.Flows) == 0 && err != nil:
		return nil, &usageError{problem: err.Error(), remedy: "FILE is one that --record made, or a pcap or pcapng file"}
	case err != nil:
		p.report.note("%s is damaged, what comes before is used: %v", file, err)
	}
	if len(r.Flows) == 0 {
		return nil, &usageError{problem: file + " holds no TCP connection and no UDP datagrams", remedy: "record with --record, tcpdump -w or Wireshark"}
	}
	return r, nil
}

// listRecording writes a line for each connection: it is what was asked for, and so data.
func (p *program) listRecording(file string) error {
	r, err := p.openRecording(file)
	if err != nil {
		return err
	}
	for i, f := range r.Flows {
		name := f.Name
		for side := range name {
			if name[side] == "" {
				name[side] = f.Addr[side].String()
			}
		}
		var took time.Duration
		if n := len(f.Events); n > 0 {
			took = f.Events[n-1].At
		}
		if _, err := fmt.Fprintf(p.stdout, "%d\t%s\t%s\t%s\t%d\t%d\t%s\t%v\n", i+1, f.Kind, name[capture.First], name[capture.Second],
			f.Bytes(capture.First), f.Bytes(capture.Second), f.Start.Format(time.RFC3339Nano), took.Round(time.Microsecond)); err != nil {
			return &localError{doing: "write standard output", err: err}
		}
	}
	return nil
}

func (p *program) replay(ctx context.Context, f *replayFlags, file, url string) error {
	e, err := parseEndpoint(url)
	if err != nil {
		return err
	}
	r, err := p.openRecording(file)
	if err != nil {
		return err
	}
	if int(f.flow) > len(r.Flows) {
		return &usageError{problem: fmt.Sprintf("%s holds %d connections, there is no %d", file, len(r.Flows), f.flow), remedy: "tincan replay --list " + file + " tells them"}
	}
	ctx, stop := p.interrupts.context(ctx)
	defer stop()
	flow := r.Flows[f.flow-1]
	o := &capture.ReplayOptions{Fast: f.fast, Answer: p.stdout, Wait: f.wait}
	if f.second {
		o.Side = capture.Second
	}
	d := &tincan.Dialer{Config: p.config(), Timeout: f.connect}
	var report capture.Report
	switch {
	case flow.Kind == capture.Stream && e.Streams():
		report, err = playTo(ctx, p, e, d.DialEndpoint, func(c net.Conn) (capture.Report, error) {
			return capture.Replay(ctx, flow, c, o)
		})
	case flow.Kind == capture.Messages && e.Messages():
		report, err = playTo(ctx, p, e, d.DialMessageEndpoint, func(c tincan.MessageConn) (capture.Report, error) {
			return capture.ReplayMessages(ctx, flow, c, o)
		})
	default:
		return &usageError{
			problem: fmt.Sprintf("connection %d is a recording of %s, which %s does not carry", f.flow, flow.Kind, e.Scheme),
			remedy:  "a stream is played to tcp, unix, tls, …, datagrams to udp, unixgram, …",
		}
	}
	if err != nil {
		return ended(ctx, err)
	}
	return f.judge(report)
}

// playTo connects, plays and closes: in order, or after a failure by a reset.
func playTo[C tincan.Conn](ctx context.Context, p *program, e *tincan.Endpoint, dial func(context.Context, *tincan.Endpoint) (C, error), play func(C) (capture.Report, error)) (capture.Report, error) {
	c, err := dial(ctx, e)
	if err != nil {
		return capture.Report{}, err
	}
	p.report.connected(e, c)
	report, err := play(c)
	if err == nil || tincan.Abort(c) != nil {
		_ = c.Close() // all that matters has been read
	}
	if t := p.report.hooks(); t.Closed != nil {
		t.Closed(c, report.Received, report.Sent, err)
	}
	return report, err
}

// judge makes an error of an answer that is not the recorded one, if that was asked for.
func (f *replayFlags) judge(r capture.Report) error {
	switch {
	case !f.check || r.Same():
		return nil
	case r.Difference != nil && r.Difference.Message > 0:
		return fmt.Errorf("the answer differs from the recorded one in message %d, at byte %d", r.Difference.Message+1, r.Difference.Offset)
	case r.Difference != nil:
		return fmt.Errorf("the answer differs from the recorded one at byte %d (%d bytes came, %d were recorded)", r.Difference.Offset, r.Received, r.Wanted)
	}
	return fmt.Errorf("the answer ended by %q, the recorded one by %q", r.Ending, r.WantedEnding)
}
