package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/signal"

	"github.com/tincan-ipc/tincan/pattern"
)

// errInputEnded ends a serving side whose life is that of its standard input.
var errInputEnded = errors.New("standard input has ended")

// serve listens and does the serving side's part until ctx ends.
func (r *benchRun) serve(ctx context.Context) error {
	m, err := r.flags.security.mechanism(true, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.flags.endWithInput {
		// A terminal interrupts both sides, and this one is to outlive the other.
		signal.Ignore(os.Interrupt)
		go func() {
			_, _ = io.Copy(io.Discard, r.stdin)
			cancel(errInputEnded)
		}()
	}
	o := r.options(m)
	teller := &socketTeller{report: r.report, giveUp: cancel}
	o.OnEvent = func(e pattern.Event) {
		if e.Kind == pattern.EventDisconnected || e.Kind == pattern.EventDropped {
			return // a measurement that is done, or what it measures
		}
		teller.event(e)
	}
	s, work := r.work.serve(r, o)
	defer s.Close() // what is still queued was for nobody
	addr, err := s.Listen(ctx, r.endpoint.String())
	if err == nil {
		r.report.listening("", addr.String())
		err = work(ctx)
	}
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, errInputEnded), errors.As(cause, new(interruptError)):
		return nil // a server's orderly end
	}
	return cause
}

func echo(_ context.Context, request []byte) ([]byte, error) {
	if request == nil {
		request = []byte{} // a nil reply would be none
	}
	return request, nil
}

func serveReplies(_ *benchRun, o *pattern.Options) (socket, func(context.Context) error) {
	s := pattern.NewRep(o)
	return s, func(ctx context.Context) error { return s.Serve(ctx, echo) }
}

func serveRequests(_ *benchRun, o *pattern.Options) (socket, func(context.Context) error) {
	s := pattern.NewServer(o)
	return s, func(ctx context.Context) error { return s.Serve(ctx, echo) }
}

func servePush(r *benchRun, o *pattern.Options) (socket, func(context.Context) error) {
	s := pattern.NewPush(o)
	return s, func(ctx context.Context) error {
		message := make([]byte, r.flags.size)
		for {
			if err := s.Send(ctx, message); err != nil {
				return err
			}
		}
	}
}

// sequenceLength is how many bytes of a published message are its number, big-endian, by which a subscriber
// knows what it has lost.
const sequenceLength = 8

func servePub(r *benchRun, o *pattern.Options) (socket, func(context.Context) error) {
	s := pattern.NewPub(o)
	return s, func(ctx context.Context) error {
		message := make([]byte, r.flags.size)
		for n := uint64(0); ; n++ {
			// Send doesn't wait where there is nobody to send to, nor notice then that ctx has ended.
			if n%256 == 0 {
				if err := errors.Join(s.WaitSubscribers(ctx, 1), ctx.Err()); err != nil {
					return err
				}
			}
			binary.BigEndian.PutUint64(message, n)
			if err := s.Send(ctx, message); err != nil {
				return err
			}
		}
	}
}
