package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
)

var (
	// ErrKind is a flow of messages that was to be played to a stream, or the other way round.
	ErrKind = errors.New("the recording is of the other kind of connection")
	// ErrIncomplete is a flow that lacks some of the bytes that were to be played.
	ErrIncomplete = errors.New("the recording is incomplete")
)

// ReplayOptions are those of [Replay] and [ReplayMessages]. The zero value plays the first side with its timing.
type ReplayOptions struct {
	// Side is whose part is played.
	Side Side
	// Fast plays without the recorded pauses, but in the recorded order: each piece as soon as
	// the peer has answered as much as it had by then, so that a question that depends on an answer is not
	// asked before it. What does not come within Wait is waited for no more.
	Fast bool
	// Answer is what the peer's bytes are written to as they come; nil discards them.
	Answer io.Writer
	// Wait bounds how long the peer's answer is waited for when all has been played.
	// Zero means 5 s, negative as long as ctx lives.
	Wait time.Duration
}

const defaultWait = 5 * time.Second

// A Report tells how a replay went beside the recording.
type Report struct {
	Sent     int64 // bytes played
	Received int64 // bytes that the peer answered
	Wanted   int64 // bytes that it answered in the recording
	// Ending tells how the peer ended, End or Reset, and WantedEnding how it did in the recording. Data
	// is not at all, as far as was waited for.
	Ending, WantedEnding Op
	// Difference is the first one between the answer and the recording's; nil if there is none. It is
	// not looked for beyond what the recording lacks.
	Difference *Difference
}

// Same tells whether the peer answered as in the recording and, if it ended there, ended so.
func (r Report) Same() bool {
	return r.Difference == nil && (r.WantedEnding == Data || r.WantedEnding == r.Ending)
}

// A Difference is where an answer departs from the recorded one.
type Difference struct {
	// Message counts the messages before the one that differs. It is 0 for a stream.
	Message int
	// Offset is of the first byte that differs, in the stream or the message; where one
	// of the two is the beginning of the other, its length.
	Offset int64
}

// Replay plays one side of f, which is a stream, to c: each piece when it was sent,
// counted from the call, and a half-close or a reset where there was one. Where the family has no half-close, none is
// passed on; where it has no reset, c is closed. Meanwhile it reads what the peer answers.
//
// It blocks until all is played and the peer has ended too; where the recording has no end of the
// peer's, until as much has come as it has; or for [ReplayOptions.Wait]; or until
// ctx ends, whose error it then gives. A connection that fails is the error too, but for a reset where the recording
// has one. c is not closed, its deadlines are used. o may be nil. The report holds in any case.
func Replay(ctx context.Context, f *Flow, c net.Conn, o *ReplayOptions) (Report, error) {
	return replay(ctx, f, Stream, &streamPeer{conn: c, buf: make([]byte, 64<<10)}, o)
}

// ReplayMessages is as [Replay], for messages. Where the recording has no end
// of the peer's, as with datagrams, it waits for as many messages as it has.
func ReplayMessages(ctx context.Context, f *Flow, c tincan.MessageConn, o *ReplayOptions) (Report, error) {
	longest := 1 << 20
	for _, e := range f.Events {
		longest = max(longest, len(e.Data))
	}
	return replay(ctx, f, Messages, &messagePeer{conn: c, buf: make([]byte, longest)}, o)
}

func replay(ctx context.Context, f *Flow, kind Kind, p peer, o *ReplayOptions) (Report, error) {
	if o == nil {
		o = &ReplayOptions{}
	}
	if f.Kind != kind {
		return Report{}, fmt.Errorf("%w: it has %s", ErrKind, map[Kind]string{Stream: "a stream of bytes", Messages: "messages"}[f.Kind])
	}
	if n := f.Missing[o.Side]; n > 0 {
		return Report{}, fmt.Errorf("%w: %d bytes of the %s side are missing", ErrIncomplete, n, o.Side)
	}
	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.bind(playing)()
	l := newListener(f, o)
	go func() {
		defer close(l.done)
		if l.listen(p); l.err != nil {
			cancel()
		}
	}()
	sent, err := play(playing, f, p, l, o)
	if err == nil || tincan.KindOf(err) == tincan.KindReset {
		l.await(playing, l.enough(), o.Wait) // after a reset too: what came before it is still to be read
	}
	p.stop()
	<-l.done

	l.report.Sent = sent
	l.finish()
	switch {
	case l.err != nil:
		return l.report, l.err
	case ctx.Err() != nil && (err != nil || l.got.Load() < l.enough() && !l.over):
		return l.report, context.Cause(ctx)
	case tincan.KindOf(err) == tincan.KindReset && l.report.WantedEnding == Reset:
		l.report.Ending = Reset
		return l.report, nil
	}
	return l.report, err
}

// play plays the events of one side and counts the bytes.
func play(ctx context.Context, f *Flow, p peer, l *listener, o *ReplayOptions) (sent int64, err error) {
	start := time.Now()
	var answered int64 // by the peer, in the recording
	patient := true
	for _, e := range f.Events {
		if e.From != o.Side {
			if e.Op == Data {
				answered += l.measure(e.Data)
			}
			continue
		}
		if !o.Fast {
			err = sleepUntil(ctx, start.Add(e.At))
		} else if patient {
			patient = l.await(ctx, answered, o.Wait)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			var n int
			n, err = act(p, e)
			sent += int64(n)
		}
		if err != nil || e.Op == Reset {
			return sent, err
		}
	}
	return sent, nil
}

// act does what e tells.
func act(p peer, e Event) (sent int, err error) {
	switch e.Op {
	case End:
		if err = tincan.CloseWrite(p.connection()); errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
	case Reset:
		if err = tincan.Abort(p.connection()); errors.Is(err, errors.ErrUnsupported) {
			err = p.connection().Close()
		}
	default:
		return p.send(e.Data)
	}
	return 0, err
}

// sleepUntil waits for an instant, or for ctx to end.
func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
