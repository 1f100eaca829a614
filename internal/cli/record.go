package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/capture"
	"github.com/tincan-ipc/tincan/relay"
)

func (p *program) recordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "record FILE FROM TO...",
		Short: "Relay, and record what passes",
		Long: `record is relay with --record FILE: every client of FROM gets its own connection
to TO, and what passes is written to FILE, which Wireshark opens and "tincan
replay" plays back. All else, flags too, is as "tincan relay --help" says.

` + exitCodesHelp,
		Example: `  tincan record trace.pcapng tcp://:8000 tcp://10.0.0.7:80
  tincan replay --check trace.pcapng tcp://10.0.0.8:80`,
		DisableFlagParsing: true, // they are relay's
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
				return cmd.Help()
			}
			if err := arguments(true, "FILE", "FROM", "TO")(cmd, args); err != nil {
				return err
			}
			if strings.HasPrefix(args[0], "-") {
				return &usageError{problem: fmt.Sprintf("FILE is missing before %s", args[0]), remedy: "usage: " + cmd.UseLine()}
			}
			root := cmd.Root()
			root.SetArgs(append([]string{"relay", "--record", args[0]}, args[1:]...))
			return root.ExecuteContext(cmd.Context())
		},
	}
}

// recordWait is how long traffic may be held up by a disk that is slower than it.
const recordWait = time.Second

// startRecording has what passes recorded into file, empty for nothing, until
// stop is called. A disk that fails ends the recording, never the traffic: it is told once.
func (p *program) startRecording(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	p.recorder, err = capture.Create(file, &capture.Options{
		Wait:    recordWait,
		OnError: func(err error) { p.report.note("recording has stopped: %v", err) },
	})
	if err != nil {
		return nil, &localError{doing: "record to " + file, err: err}
	}
	return func() {
		_ = p.recorder.Close() // OnError has told it
		if lost := p.recorder.Lost(); lost.Events > 0 {
			p.report.note("%s lacks %d pieces of %d bytes: the disk was too slow", file, lost.Events, lost.Bytes)
		}
	}, nil
}

// recordedKind is how c is recorded.
func recordedKind(c tincan.Conn) capture.Kind {
	if _, ok := c.(tincan.MessageConn); ok {
		return capture.Messages
	}
	return capture.Stream
}

// recorded has s recorded: own is the side that this program is.
func (s *session) recorded(w *capture.Writer, own capture.Side) {
	if w == nil {
		return
	}
	first, second := s.conn.LocalAddr(), s.conn.RemoteAddr()
	if own == capture.Second {
		first, second = second, first
	}
	c := w.Connection(recordedKind(s.conn), first, second)
	s.sentTap.record = func(p []byte) { c.Data(own, p) }
	s.receivedTap.record = func(p []byte) { c.Data(own.Other(), p) }
	s.ending = func() { c.End(own) } // not when it is told: the peer may have answered by then
	trace := *s.trace
	s.trace = &trace
	trace.HalfClosed = both(trace.HalfClosed, func(_ tincan.Conn, side tincan.Side) {
		if side == tincan.Remote {
			c.End(own.Other())
		}
	})
	closed := trace.Closed
	trace.Closed = func(conn tincan.Conn, received, sent int64, err error) {
		if tincan.KindOf(err) == tincan.KindReset {
			c.Reset(own.Other())
		}
		c.Close()
		if closed != nil {
			closed(conn, received, sent, err)
		}
	}
}

// both calls f, where there is one, and then g.
func both(f, g func(tincan.Conn, tincan.Side)) func(tincan.Conn, tincan.Side) {
	if f == nil {
		return g
	}
	return func(c tincan.Conn, side tincan.Side) {
		f(c, side)
		g(c, side)
	}
}

// recorded has the pair of client, as the relay knows it, and target recorded, by what o is told.
func (l *link) recorded(w *capture.Writer, client, target tincan.Conn, o *relay.Options) (tap func(relay.Direction, []byte)) {
	if w == nil {
		return nil
	}
	c := w.Connection(recordedKind(target), l.client.RemoteAddr(), target.RemoteAddr())
	l.record = c
	trace := *o.Trace
	trace.HalfClosed = both(trace.HalfClosed, func(conn tincan.Conn, side tincan.Side) {
		if side == tincan.Local {
			return // what the other side ended is passed on
		}
		if conn == client {
			c.End(capture.First)
		} else {
			c.End(capture.Second)
		}
	})
	o.Trace = &trace
	return func(d relay.Direction, p []byte) {
		if d == relay.Forward {
			c.Data(capture.First, p)
		} else {
			c.Data(capture.Second, p)
		}
	}
}

// endRecord tells the recording how the link ended: side is the one that failed, as [link.reason] has it.
func (l *link) endRecord(side string, err error) {
	if tincan.KindOf(err) == tincan.KindReset {
		from := capture.First
		if side == "to" {
			from = capture.Second
		}
		l.record.Reset(from)
	}
	l.record.Close()
}
