package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
)

// end closes both connections.
func (p *pair) end() error {
	err, _ := p.failure(Forward)
	if err == nil && p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	for _, c := range p.conns {
		if err == nil {
			_ = c.Close() // both ends were told
		} else {
			p.reset(c)
		}
	}
	return err
}

// finish passes on how direction d ended.
func (p *pair) finish(d Direction, err error) {
	src, dst := p.conns[d], p.conns[1-d]
	if err == io.EOF { // only the bare one is an orderly end
		if err = p.falseEnd(d, src); err == nil {
			p.over[d].set()
			p.endInput(d, src, dst)
			return
		}
	}
	defer p.over[d].set()
	first, _ := p.failure(d)
	var end *EndError
	switch {
	case p.ctx.Err() != nil:
		p.fail(d, context.Cause(p.ctx))
	case errors.Is(err, net.ErrClosed) && first != nil:
		// The other direction closed it, and has said why; end does the rest.
	case errors.Is(err, net.ErrClosed) && p.closing.Load():
		// The other direction closed src, in order; end does so with dst.
	case errors.As(err, &end) && !end.Reading:
		p.fail(d, err)
		p.refuseInput(src) // the other direction may still deliver; end resets src afterwards
	default:
		p.fail(d, err)
		p.reset(dst)
	}
}

// refuseInput tells whoever sends to src, where the family can, that nobody reads any more.
func (p *pair) refuseInput(src tincan.Conn) {
	if network := src.LocalAddr().Network(); network != "unix" && network != "mem" || tincan.CloseRead(src) != nil {
		return
	}
	// Linux wakes a sender that waits for room only when there is some.
	if r, ok := src.(io.Reader); ok {
		_, _ = io.Copy(io.Discard, r)
	}
}

// falseEnd gives the error that an end hides. A reset is told once, and where both directions use the
// socket the one that sends may be told; the one that receives then finds what looks like an end.
//
// A socket that was reset behind its end can't be told from one that was reset in place of it. Then it
// counts as a reset: to take a part for the whole would be worse.
func (p *pair) falseEnd(d Direction, src tincan.Conn) error {
	if !wasReset(src) {
		return nil
	}
	other := 1 - d
	t := time.NewTimer(p.o.EndWait)
	defer t.Stop()
	select {
	case <-p.over[other].done(): // it was told and is about to end, or it has half-closed src itself
	case <-p.ctx.Done():
	case <-t.C:
	}
	_, err := p.failure(other)
	var end *EndError
	if errors.As(err, &end) && !end.Reading {
		return &EndError{Direction: d, Reading: true, Err: end.Err}
	}
	return nil
}

// endInput tells dst that src has ended.
func (p *pair) endInput(d Direction, src, dst tincan.Conn) {
	if f := p.o.Trace.HalfClosed; f != nil {
		f(src, tincan.Remote)
	}
	// Where src has no half-close its end is that of both its directions: nothing from dst can be delivered any more.
	whole := !tincan.CanCloseWrite(src)
	if tincan.CanCloseWrite(dst) {
		err := tincan.CloseWrite(dst) // where it fails dst is gone already, which its own direction tells
		if f := p.o.Trace.HalfClosed; f != nil && err == nil {
			f(dst, tincan.Local)
		}
		if !whole {
			return
		}
	} else if !whole {
		p.awaitQuiet(1 - d)
	}
	p.closing.Store(true)
	_ = dst.Close()
}

// awaitQuiet returns when direction d has ended, or had nothing to do for EndWait.
func (p *pair) awaitQuiet(d Direction) {
	for start := time.Now(); ; {
		wait := p.o.EndWait
		if !p.sending[d].Load() {
			wait -= min(p.silent(), time.Since(start))
		}
		if wait <= 0 {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			continue
		case <-p.over[d].done():
		}
		t.Stop()
		return
	}
}

// reset passes a reset on to c, as an ordinary end where the family has none. A pair that was
// interrupted waits for nothing.
func (p *pair) reset(c tincan.Conn) {
	if p.ctx.Err() != nil {
		abort(c)
	} else if errors.Is(tincan.Reset(p.ctx, c), errors.ErrUnsupported) {
		_ = c.Close()
	}
}

// abort closes c so that it doesn't look like an orderly end, where the family knows how.
func abort(c tincan.Conn) {
	if tincan.Abort(c) != nil {
		_ = c.Close()
	}
}
