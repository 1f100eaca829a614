package relay

import (
	"context"
	"errors"
	"io"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// Messages relays between two message connections, each message whole, until
// both directions have ended, then closes both. The rest is as [Streams] says.
//
// A datagram peer has no end of its own: its pair ends by an idle timeout, or
// when the listener's flow expires. A refused datagram port
// ends the pair. A message too long for the other side, or longer than limit bytes, is lost alone, and
// told to o.Trace.Dropped. A limit of zero or less means [tincan.DefaultMaxMessage].
//
// An idle pair holds no buffers. Messages that wait behind one another are moved together where [tincan.ReadBatch] can.
func Messages(ctx context.Context, first, second tincan.MessageConn, limit int, o *Options) (Result, error) {
	p := newPair(ctx, first, second, o)
	p.moveMessages(first, second, limit)
	err := p.run()
	return p.result(), err
}

// moveMessages has p move messages, once it is run.
func (p *pair) moveMessages(first, second tincan.MessageConn, limit int) {
	p.ways = [2]func() error{
		func() error { return p.passMessages(Forward, first, second, limit) },
		func() error { return p.passMessages(Backward, second, first, limit) },
	}
	p.stop = p.watch()
}

// passMessages moves every message from src to dst: [io.EOF] at src's orderly end.
func (p *pair) passMessages(d Direction, src, dst tincan.MessageConn, limit int) error {
	var b tincan.Batch
	defer b.Release()
	for {
		if err := tincan.ReadBatch(p.ctx, src, &b, limit); err != nil {
			if err == io.EOF { // only the bare one is an orderly end
				return err
			}
			return &EndError{Direction: d, Reading: true, Err: err}
		}
		for range b.Lost() {
			p.drop(src, dst, -1)
		}
		if err := p.sendMessages(d, src, dst, b.Messages()); err != nil {
			return err
		}
	}
}

// sendMessages sends on what was read.
func (p *pair) sendMessages(d Direction, src, dst tincan.MessageConn, msgs [][]byte) error {
	p.sending[d].Store(true)
	defer p.sending[d].Store(false)
	if len(p.o.Limiters) > 0 {
		if err := p.admit(payload(msgs)); err != nil {
			return err
		}
	}
	if tap := p.o.Tap; tap != nil {
		for _, m := range msgs {
			tap(d, m)
		}
	}
	for len(msgs) > 0 {
		n, err := tincan.WriteBatch(p.ctx, dst, msgs)
		p.passed(d, payload(msgs[:n]))
		msgs = msgs[n:]
		switch {
		case err == nil:
		case isUnfit(err):
			p.drop(src, dst, len(msgs[0]))
			msgs = msgs[1:]
		default:
			return &EndError{Direction: d, Err: err}
		}
	}
	return nil
}

// isUnfit reports an error that tells of one message, which the other side has no form for.
func isUnfit(err error) bool {
	return errors.Is(err, tincan.ErrMessageTooLong) || errors.Is(err, frame.ErrTooLong) || errors.Is(err, frame.ErrDelimiter)
}

func payload(msgs [][]byte) (n int) {
	for _, m := range msgs {
		n += len(m)
	}
	return n
}

// drop tells of a message that was lost alone; its size is negative where it isn't known.
func (p *pair) drop(src, dst tincan.Conn, size int) {
	p.dropped.Add(1)
	if f := p.o.Trace.Dropped; f != nil {
		f(dst.LocalAddr(), src.RemoteAddr(), size)
	}
}
