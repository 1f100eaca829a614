package relay

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/tincan-ipc/tincan"
)

// maxUDP is more than any UDP datagram holds.
const maxUDP = 64 << 10

// Messages relays between two message connections, each message whole, until
// both directions have ended, then closes both. The rest is as [Streams] says.
//
// A datagram peer has no end of its own: its pair ends by an idle timeout, or
// when the listener's flow expires. A refused datagram port
// ends the pair; a message too long for the other side is lost alone, and counted in o.Trace.Dropped.
//
// No message may be longer than limit bytes; zero means [tincan.DefaultMaxMessage].
func Messages(ctx context.Context, first, second tincan.MessageConn, limit int, o *Options) (Result, error) {
	if limit <= 0 {
		limit = tincan.DefaultMaxMessage
	}
	p := newPair(ctx, first, second, o)
	return p.run(p.messages(Forward, first, second, limit), p.messages(Backward, second, first, limit))
}

// messages moves every message from src to dst, and passes on how it ended.
func (p *pair) messages(d Direction, src, dst tincan.MessageConn, limit int) func() {
	return func() { p.finish(d, src, dst, p.moveMessages(d, src, dst, limit)) }
}

func (p *pair) moveMessages(d Direction, src, dst tincan.MessageConn, limit int) error {
	// Of a large buffer only the pages that messages reach take memory.
	if strings.HasPrefix(src.LocalAddr().Network(), "udp") {
		limit = min(limit, maxUDP)
	}
	buf := make([]byte, limit)
	for {
		n, err := src.ReadMessage(p.ctx, buf)
		if err != nil {
			if err == io.EOF { //nolint:errorlint // only the bare one is an orderly end
				return err
			}
			return &EndError{Direction: d, Reading: true, Err: err}
		}
		if err := p.admit(n); err != nil {
			return err
		}
		if tap := p.o.Tap; tap != nil {
			tap(d, buf[:n])
		}
		switch err := dst.WriteMessage(p.ctx, buf[:n]); {
		case errors.Is(err, tincan.ErrMessageTooLong):
			if f := p.o.Trace.Dropped; f != nil {
				f(dst.LocalAddr(), src.RemoteAddr(), n)
			}
			continue
		case err != nil:
			return &EndError{Direction: d, Err: err}
		}
		p.passed(d, n)
	}
}
