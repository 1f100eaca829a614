package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

const messagesHelp = `Over udp, unixgram and unixpacket, and over WebSocket when --frame is given, what
passes are messages. With --frame each frame of input is one message, and each
message that comes is written in such a frame. Without it one message is what the
input gives until it pauses for 100 ms or ends (at a terminal: a line), and
messages are written as they are.
A message that can't be passed on whole is an error that is told; the session
goes on and ends with 1. Datagrams have no end: after the end of input connect
waits until nothing has come for 1 s (or --idle-timeout), and exits with 0; a
port where nobody listens is 3.`

// messageInput gives the messages of the input, one a call, valid until the
// next; io.EOF after the last. It reads at its first call, not before.
func messageInput(in *os.File, framing string, emptyToo bool) (func() ([]byte, error), error) {
	if framing != "" {
		f, err := parseFraming(framing)
		if err != nil {
			return nil, err
		}
		return frame.NewReader(in, f, frame.DefaultLimit).Read, nil
	}
	if term.IsTerminal(int(in.Fd())) {
		lines := bufio.NewReader(in)
		return func() ([]byte, error) {
			line, err := lines.ReadBytes('\n')
			if err == io.EOF && len(line) > 0 {
				err = nil
			}
			return line, err
		}, nil
	}
	b := &bursts{pieces: make(chan piece), emptyToo: emptyToo}
	return func() ([]byte, error) {
		b.start.Do(func() { go b.read(in) })
		return b.next()
	}, nil
}

// parseFraming reads the value of --frame.
func parseFraming(name string) (frame.Framing, error) {
	f, err := frame.Parse(name)
	if err != nil {
		return 0, &usageError{problem: err.Error(), remedy: "--frame takes one of these"}
	}
	return f, nil
}

// burstPause is how long the input must pause for what it gave to be one message.
const burstPause = 100 * time.Millisecond

// bursts cuts the input where it pauses: what another program writes at once
// stays together, however many reads it takes, and a program that waits for an answer
// before it goes on gets one.
type bursts struct {
	start    sync.Once
	pieces   chan piece
	message  []byte
	emptyToo bool // input without a byte is an empty message
	err      error
}

// piece is what one read gave.
type piece struct {
	bytes []byte
	err   error
}

// read hands on what it reads, until the end. It is left behind where the session ends first.
func (b *bursts) read(in io.Reader) {
	for {
		buf := make([]byte, 64<<10)
		n, err := in.Read(buf)
		b.pieces <- piece{buf[:n], err}
		if err != nil {
			return
		}
	}
}

func (b *bursts) next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.message = b.message[:0]
	var pause <-chan time.Time // none before the first piece
	for {
		select {
		case p := <-b.pieces:
			b.message = append(b.message, p.bytes...)
			if b.err = p.err; b.err != nil {
				return b.last()
			}
			if len(b.message) > frame.DefaultLimit {
				return nil, fmt.Errorf("one message of more than %v; --frame makes several of it", tincan.Size(frame.DefaultLimit))
			}
			b.emptyToo = false
			pause = time.After(burstPause)
		case <-pause:
			return b.message, nil
		}
	}
}

// last gives what came before the end of input.
func (b *bursts) last() ([]byte, error) {
	if errors.Is(b.err, io.EOF) && (len(b.message) > 0 || b.emptyToo) {
		return b.message, nil
	}
	return nil, b.err
}

// messageOutput gives a function that writes one message to out.
func messageOutput(out io.Writer, framing string) func(msg []byte) error {
	if framing == "" {
		return func(msg []byte) error { _, err := out.Write(msg); return err }
	}
	f, _ := frame.Parse(framing) // messageInput has checked it
	var framed []byte
	return func(msg []byte) (err error) {
		if framed, err = frame.Append(framed[:0], f, msg); err != nil {
			return &unframeableError{hintedError{error: err, hint: "--frame len32 can hold it"}}
		}
		_, err = out.Write(framed)
		return err
	}
}

// An unframeableError is a message that was not written, for its frame can't hold it.
type unframeableError struct{ hintedError }

// messages is a session over a message connection.
type messages struct {
	*session
	conn   tincan.MessageConn
	report *reporter
	next   func() ([]byte, error)
	write  func(msg []byte) error
	room   int          // for a message that comes
	lost   atomic.Int64 // messages that were not passed on
}

func newMessages(p *program, f *sessionFlags, e *tincan.Endpoint, conn tincan.MessageConn, next func() ([]byte, error), out io.Writer) *messages {
	m := &messages{
		session: newSession(p, f, e, conn), conn: conn, report: p.report,
		next: next, write: messageOutput(out, f.frame), room: largestMessage(e),
	}
	m.session.send, m.session.receive = m.send, m.receive
	return m
}

// largestPacket is more than the kernel's send buffers take by default.
const largestPacket = 1 << 20

// largestMessage is how much room the longest message of e's family takes.
func largestMessage(e *tincan.Endpoint) int {
	switch e.Scheme {
	case "udp", "udp4", "udp6":
		return 64 << 10
	case "unixgram", "unixpacket":
		return largestPacket
	}
	if e.Options.MaxMessage > 0 {
		return int(e.Options.MaxMessage)
	}
	return tincan.DefaultMaxMessage
}

// run is as for a session; messages that were lost make it fail in the end.
func (m *messages) run(ctx context.Context) error {
	err := m.session.run(ctx)
	if n := m.lost.Load(); n > 0 && err == nil {
		return fmt.Errorf("messages that were not passed on: %d", n)
	}
	return err
}

func (m *messages) send(ctx context.Context) half {
	for {
		msg, err := m.next()
		if errors.Is(err, io.EOF) {
			return half{}
		}
		if err != nil {
			return half{readErr: err}
		}
		if err := m.sentTap.admit(ctx, msg); err != nil {
			return half{readErr: err}
		}
		if err := m.sendOne(ctx, msg); err != nil {
			return half{writeErr: err}
		}
	}
}

func (m *messages) sendOne(ctx context.Context, msg []byte) error {
	m.sending.Lock()
	defer m.sending.Unlock()
	if m.inEnded {
		return net.ErrClosed
	}
	err := m.conn.WriteMessage(ctx, msg)
	if errors.Is(err, tincan.ErrMessageTooLong) {
		m.lose(err)
		return nil
	}
	if err == nil {
		m.sentTap.passed(len(msg))
	}
	return err
}

func (m *messages) receive(ctx context.Context) half {
	buf := make([]byte, m.room)
	for {
		n, err := m.conn.ReadMessage(ctx, buf)
		switch {
		case errors.Is(err, io.EOF):
			return half{}
		case errors.Is(err, io.ErrShortBuffer):
			m.lose(err)
			continue
		case err != nil:
			return half{readErr: err}
		}
		if err := m.receivedTap.admit(ctx, buf[:n]); err != nil {
			return half{readErr: err}
		}
		var unframeable *unframeableError
		if err := m.write(buf[:n]); errors.As(err, &unframeable) {
			m.lose(err)
		} else if err != nil {
			return half{writeErr: err}
		}
		m.receivedTap.passed(n)
	}
}

// lose tells of a message that was not passed on.
func (m *messages) lose(err error) {
	m.lost.Add(1)
	m.report.failure(err)
}
