package pattern

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/tincan-ipc/tincan/zmtp"
)

const (
	// maxTail is the length up to which the beginning of a message waits for its rest in a buffer
	// of its own, so that a peer that is slow does not hold one for many messages.
	maxTail = 2 << 10
	// firstRead is how much is read at once from a connection that can't wait without a buffer and has been quiet.
	firstRead = 256
)

// A reader cuts what comes from one peer into messages. It holds no buffer while nothing comes.
type reader struct {
	p    *peer
	c    *chunk // what is being filled; nil where tail holds all there is
	tail []byte
	busy bool // the last read brought much
	wide bool // it filled a small chunk

	// Offsets into c, or tail.
	done  int // before it are whole messages
	kept  int // from done to it is the message under way, as far as it was looked at
	at    int // from it on nothing was looked at
	need  int // length of the frame at at, 0 where its header isn't there
	total int64

	msgs  int   // before done
	parts int   // of the message under way
	bytes int64 // in them

	sent  uint64 // messages sent when the last came
	turns int    // how many times in a row one came for one that was sent
}

// run reads until the connection ends, and says why it did. It is [io.EOF] for an orderly end, and nil where
// nothing came for a while and it has to be called again.
func (r *reader) run() (err error) {
	if r.p.raw != nil {
		err = r.runRaw()
	} else {
		for err == nil {
			err = r.read()
		}
	}
	if errors.Is(err, io.EOF) && (len(r.tail) > 0 || r.c != nil && len(r.c.buf) > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// runRaw takes what comes until the connection ends. Where it was woken only to look again, see prober, there is no error.
func (r *reader) runRaw() error {
	err := r.p.raw.serve(r)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if err := r.p.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if r.p.isDead() {
		return net.ErrClosed
	}
	return nil
}

// read is runRaw for one read of what isn't a bare socket.
func (r *reader) read() error {
	var n int
	var err error
	if r.c == nil && !r.busy {
		var first [firstRead]byte
		n, err = r.p.conn.Read(first[:])
		copy(r.space(), first[:n])
	} else {
		n, err = r.p.conn.Read(r.space())
	}
	if n > 0 {
		if fault := r.take(n); fault != nil {
			return fault
		}
	} else {
		r.idle()
	}
	return err
}

// take takes n bytes that were read into space. The error is for what the peer did wrong.
func (r *reader) take(n int) error {
	r.c.buf = r.c.buf[:len(r.c.buf)+n]
	r.tail = r.tail[:0]
	r.busy = n >= firstRead
	r.wide = len(r.c.buf) >= smallChunk
	r.p.beat.note(r.p)
	fault := r.scan()
	sent := r.p.earnCredit(r.msgs)
	if r.msgs == 1 && sent == r.sent+1 {
		r.turns++
	} else {
		r.turns = 0
	}
	r.sent = sent
	r.deliver()
	return fault
}

// space gives where to read to: the free part of r.c. A chunk that was taken for that is given back by idle.
func (r *reader) space() []byte {
	if r.c == nil {
		r.c = pooledChunk(r.wide)
		r.c.buf = append(r.c.buf, r.tail...)
	}
	if len(r.c.buf) == cap(r.c.buf) {
		r.grow()
	}
	return r.c.buf[len(r.c.buf):cap(r.c.buf)]
}

// idle gives back a chunk that nothing was read into.
func (r *reader) idle() {
	if r.c != nil && len(r.c.buf) == len(r.tail) {
		r.c.free()
		r.c = nil
	}
}

// grow makes room for the frame under way: as much again as has come, so
// that nobody gets memory by a length alone, and not more than the frame needs, so
// that a long message has its memory to itself.
func (r *reader) grow() {
	old := r.c
	want := r.at + r.need
	if r.need == 0 {
		want = len(old.buf) + len(old.buf)/2
	}
	if want <= largeChunk && old.pool != nil && cap(old.buf) < largeChunk {
		r.c = pooledChunk(true)
	} else {
		r.c = &chunk{buf: make([]byte, 0, min(want, 2*len(old.buf)))}
	}
	r.c.buf = append(r.c.buf, old.buf...)
	old.free()
}

// scan looks at the frames that are complete, checks them and obeys the commands. What it keeps are
// the frames of messages, decrypted, one after another.
func (r *reader) scan() error {
	p := r.p
	secure := p.session.Secure()
	limit := p.s.opts.MaxMessage
	overhead := int64(p.session.Overhead())
	b := r.c.buf
	for r.need = 0; r.at < len(b); {
		h, n, err := zmtp.ParseHeader(b[r.at:])
		if err != nil {
			return r.locate(err)
		}
		if n == 0 {
			return nil
		}
		if h.Length > uint64(limit-r.bytes+overhead) {
			return fmt.Errorf("%w: %d bytes, at most %d", ErrMessageTooLong, uint64(r.bytes)+h.Length, limit)
		}
		end := r.at + n + int(h.Length)
		if end > len(b) {
			r.need = end - r.at
			return nil
		}
		flags, body := h.Flags, b[r.at+n:end]
		if secure || flags&zmtp.FlagCommand != 0 {
			if flags, body, err = p.session.Open(flags, body); err != nil {
				return r.locate(err)
			}
		}
		moved := secure || r.kept != r.at
		r.at = end
		if flags&zmtp.FlagCommand != 0 {
			if err := r.obey(body); err != nil {
				return r.locate(err)
			}
			continue
		}
		if r.parts++; r.parts > p.s.opts.MaxParts {
			return fmt.Errorf("%w: more than %d parts", ErrMessageTooLong, p.s.opts.MaxParts)
		}
		r.bytes += int64(len(body))
		if moved {
			// The body lies behind a header that is no shorter than the one it gets.
			header := zmtp.AppendHeader(b[:r.kept], flags, len(body))
			r.kept = len(header) + copy(b[len(header):], body)
		} else {
			r.kept = end
		}
		if flags&zmtp.FlagMore == 0 {
			r.done = r.kept
			r.msgs++
			r.parts, r.bytes = 0, 0
		}
	}
	return nil
}

// locate says where in the stream a fault is.
func (r *reader) locate(err error) error {
	var fault *zmtp.ProtocolError
	if !errors.As(err, &fault) {
		return err
	}
	return &zmtp.ProtocolError{Offset: r.total + int64(r.at), Rule: fault.Rule, Detail: fault.Detail}
}

// obey does what a command says. PING and PONG may come between the parts of a message, as
// libzmq sends them; others may not. Unknown ones are ignored.
func (r *reader) obey(body []byte) error {
	p := r.p
	c, err := zmtp.ParseCommand(body)
	if err != nil {
		return err
	}
	switch c.Name {
	case zmtp.CommandPing:
		ttl, context, err := zmtp.ParsePing(c.Data)
		if err != nil {
			return err
		}
		p.beat.asked(p, ttl)
		p.pong(zmtp.AppendFrame(nil, zmtp.FlagCommand, zmtp.AppendPong(nil, context)))
		return nil
	case zmtp.CommandPong:
		_, err := zmtp.ParsePong(c.Data)
		return err
	}
	if r.parts > 0 {
		return &zmtp.ProtocolError{Rule: "37/ZMTP framing", Detail: fmt.Sprintf("command %.20q within a message", c.Name)}
	}
	switch c.Name {
	case zmtp.CommandError:
		reason, err := zmtp.ParseError(c.Data)
		if err != nil {
			return err
		}
		return fmt.Errorf("the peer reports an error: %q", reason)
	case zmtp.CommandReady:
		return &zmtp.ProtocolError{Rule: "37/ZMTP handshake", Detail: "READY after the handshake"}
	case zmtp.CommandSubscribe, zmtp.CommandCancel:
		return p.s.route.command(p, c)
	}
	return nil
}

// deliver hands on the whole messages, and keeps the beginning of the next.
func (r *reader) deliver() {
	c := r.c
	started, raw := c.buf[r.done:r.kept], c.buf[r.at:]
	size := len(started) + len(raw)
	r.total += int64(r.at - r.kept)
	if r.msgs == 0 && size > maxTail {
		if r.at > r.kept { // commands were taken out, or frames decrypted
			c.buf = append(c.buf[:r.kept], raw...)
			r.at = r.kept
		}
		return
	}
	next := (*chunk)(nil)
	if size <= maxTail {
		r.tail = append(append(r.tail[:0], started...), raw...)
		if size == 0 && cap(r.tail) > firstRead {
			r.tail = nil
		}
	} else {
		next = pooledChunk(r.wide || r.need > smallChunk)
		next.buf = append(append(next.buf, started...), raw...)
	}
	c.buf = c.buf[:r.done]
	msgs := r.msgs
	r.total += int64(r.done)
	r.c, r.msgs, r.kept, r.at, r.done = next, 0, r.kept-r.done, r.kept-r.done, 0
	if msgs == 0 {
		c.free()
		return
	}
	c.seal(msgs)
	r.p.s.route.arrived(r.p, c)
}
