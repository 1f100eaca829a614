package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan/internal/dash"
	"github.com/tincan-ipc/tincan/pattern"
)

func reqVerb() *socketVerb {
	return &socketVerb{
		name: "req", short: "Ask with each line of input, and write each reply", sends: true, counts: "replies",
		long: `req sends each line of input, as one message, to one of its peers (rep, router), in turn, waits for
the reply and writes it as a line of output. A peer that is lost before it answered
ends req with 5, for the request may or may not have been handled.`,
		example: `  echo 'hello' | tincan req tcp://127.0.0.1:5555
  echo 'hello' | tincan req --timeout 2s ipc:///tmp/app.sock`,
		flags: (*socketFlags).addWaitPeers,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewReq(o)
			return s, func(ctx context.Context) error {
				if err := r.awaitPeers(ctx, s.WaitPeers); err != nil {
					return err
				}
				return r.ask(ctx, s)
			}
		},
	}
}

// ask sends each line of input as a request, and writes its reply.
func (r *socketRun) ask(ctx context.Context, s *pattern.Req) error {
	return abandoning(ctx, func() error {
		_, err := r.send(ctx, asker{r, s})
		return err
	})
}

// An asker sends requests and writes the replies.
type asker struct {
	*socketRun
	req *pattern.Req
}

func (a asker) Send(ctx context.Context, parts ...[]byte) error {
	asked := time.Now()
	reply, err := a.req.Request(ctx, parts...)
	if err != nil {
		return err
	}
	a.model.Took(dash.Reply, time.Since(asked))
	return a.print(string(append(a.format.appendLine(nil, reply), '\n')))
}

func repVerb() *socketVerb {
	return &socketVerb{
		name: "rep", short: "Answer requests: echo, a text, or a program's output", listens: true, runs: true, counts: "requests",
		long: `rep answers each request of its peers (req, dealer) with the request itself (--echo), with TEXT
(--reply), or with what PROGRAM writes to its standard output; the request is its
standard input, of several parts with the separator between them. PROGRAM runs anew for
each request, 16 at once; a line feed at the end of its output is taken off, as the shell's
$(...) does, and a status other than 0 is told. With none of these rep writes each
request as a line of output and answers with the next line of input.
SIGINT or SIGTERM lets what is being answered finish within --drain.`,
		example: `  tincan rep --echo tcp://127.0.0.1:5555
  tincan rep tcp://127.0.0.1:5555 exec -- tr a-z A-Z`,
		flags: (*socketFlags).addReplies,
		check: checkReplies,
		open: func(r *socketRun, o *pattern.Options) (socket, func(context.Context) error) {
			s := pattern.NewRep(o)
			return s, func(ctx context.Context) error { return r.answer(ctx, s) }
		},
	}
}

func (f *socketFlags) addReplies(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.echo, "echo", false, "answer each request with itself")
	flags.Var(&f.reply, "reply", "answer each request with `TEXT`")
}

func checkReplies(r *socketRun) error {
	ways := 0
	for _, given := range []bool{r.flags.echo, r.flags.reply.set, r.argv != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return &usageError{problem: "--echo, --reply and exec are different answers", remedy: "give one of them"}
	}
	if r.argv != nil {
		if _, err := exec.LookPath(r.argv[0]); err != nil {
			return &localError{doing: "run " + r.argv[0], err: err}
		}
	}
	return nil
}

// programsAtOnce bounds the programs that answer at the same time.
const programsAtOnce = 16

// answer answers requests until --count or ctx ends. What has begun by then finishes.
func (r *socketRun) answer(ctx context.Context, s *pattern.Rep) error {
	reply, atOnce := r.replier()
	working, stop := r.draining(ctx)
	defer stop()
	var answering sync.WaitGroup
	defer answering.Wait()
	room := make(chan struct{}, atOnce)
	for n := 0; r.flags.count == 0 || n < int(r.flags.count); n++ {
		request, err := s.Recv(ctx)
		if err != nil {
			return err
		}
		if atOnce == 1 {
			if err := r.answerOne(working, request, reply); err != nil {
				return err
			}
			continue
		}
		room <- struct{}{}
		answering.Go(func() {
			defer func() { <-room }()
			if err := r.answerOne(working, request, reply); err != nil {
				r.report.failure(err)
			}
		})
	}
	return nil
}

// draining gives a context that outlives ctx by --drain, where a signal ends that.
func (r *socketRun) draining(ctx context.Context) (context.Context, context.CancelFunc) {
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if r.stopping.Err() == nil || r.flags.drain == 0 {
			cancel(context.Cause(ctx))
			return
		}
		time.AfterFunc(r.flags.drain, func() { cancel(context.Cause(ctx)) })
	})
	return working, func() {
		stop()
		cancel(nil)
	}
}

// A replier makes the reply to a request.
type replier func(ctx context.Context, request [][]byte) ([][]byte, error)

// replier gives the one that the flags ask for, and how many may be at work at once.
func (r *socketRun) replier() (reply replier, atOnce int) {
	switch {
	case r.flags.echo:
		return func(_ context.Context, request [][]byte) ([][]byte, error) { return request, nil }, 1
	case r.flags.reply.set:
		text := [][]byte{[]byte(r.flags.reply.text)}
		return func(context.Context, [][]byte) ([][]byte, error) { return text, nil }, 1
	case r.argv != nil:
		return r.runProgram, programsAtOnce
	}
	lines := newLineReader(r.stdin)
	return func(ctx context.Context, request [][]byte) (parts [][]byte, err error) {
		if err := r.print(string(append(r.format.appendLine(nil, request), '\n'))); err != nil {
			return nil, err
		}
		err = abandoning(ctx, func() (err error) {
			parts, err = r.readMessage(lines)
			return err
		})
		return parts, err
	}, 1
}

// answerOne answers one request. That its peer is gone is told, and concerns no other.
func (r *socketRun) answerOne(ctx context.Context, request *pattern.Request, reply replier) error {
	asked := time.Now()
	parts, err := reply(ctx, request.Parts)
	if errors.Is(err, io.EOF) {
		return &localError{doing: "read a reply from standard input", err: io.ErrUnexpectedEOF}
	}
	if err != nil {
		return err
	}
	if err := request.Reply(parts...); err != nil {
		r.report.note("a reply was not sent: %v", err)
		return nil
	}
	r.model.Took(dash.Reply, time.Since(asked))
	return nil
}

// runProgram answers with what a program writes.
func (r *socketRun) runProgram(ctx context.Context, request [][]byte) ([][]byte, error) {
	cmd := exec.CommandContext(ctx, r.argv[0], r.argv[1:]...)
	cmd.Stdin = bytes.NewReader(bytes.Join(request, []byte(r.format.separator)))
	cmd.Stderr = r.stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.report.note("%s ended with %v; its output is the reply all the same", r.argv[0], exit)
	case err != nil:
		r.report.note("run %s: %v; the reply is empty", r.argv[0], err)
	}
	return [][]byte{bytes.TrimSuffix(out, []byte("\n"))}, nil
}
