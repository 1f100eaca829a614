package capture

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A listener reads what a peer answers and compares it with the recording.
type listener struct {
	kind   Kind
	want   [][]byte // what has not been matched yet: pieces of a stream, or messages
	amount int64    // of want at first, as measure has it
	whole  bool     // the recording has all of it
	out    io.Writer
	report Report
	over   bool // the peer has ended
	err    error

	got  atomic.Int64  // what has come, as measure has it
	more chan struct{} // holds a value when got has changed
	done chan struct{} // closed when the listener has ended
}

func newListener(f *Flow, o *ReplayOptions) *listener {
	other := o.Side.Other()
	l := &listener{
		kind: f.Kind, whole: f.Missing[other] == 0, out: o.Answer,
		more: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, e := range f.Events {
		switch {
		case e.From != other:
		case e.Op == Data:
			l.want = append(l.want, e.Data)
			l.amount += l.measure(e.Data)
			l.report.Wanted += int64(len(e.Data))
		default:
			l.report.WantedEnding = e.Op
		}
	}
	return l
}

// measure counts what progress is counted in: messages, or the bytes of a stream.
func (l *listener) measure(data []byte) int64 {
	if l.kind == Messages {
		return 1
	}
	return int64(len(data))
}

// enough is how much is waited for at the end. Where the peer ended, that is its end.
func (l *listener) enough() int64 {
	if l.report.WantedEnding != Data {
		return math.MaxInt64
	}
	return l.amount
}

// await waits until so much has come, the listener has ended, ctx has or the time is over; ok is false for the last.
func (l *listener) await(ctx context.Context, amount int64, most time.Duration) (ok bool) {
	var late <-chan time.Time
	if most == 0 {
		most = defaultWait
	}
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		late = timer.C
	}
	for l.got.Load() < amount {
		select {
		case <-l.more:
		case <-l.done:
			return true
		case <-ctx.Done():
			return true
		case <-late:
			return false
		}
	}
	return true
}

// listen reads until the peer ends or p is stopped.
func (l *listener) listen(p peer) {
	for !l.over && l.err == nil {
		data, err := p.receive()
		tooLong := errors.Is(err, io.ErrShortBuffer) // it is lost, and was not recorded so
		if err == nil || tooLong || len(data) > 0 {
			l.take(data)
		}
		switch {
		case err == nil || tooLong:
		case err == io.EOF: //nolint:errorlint // only the bare one is an orderly end
			l.over, l.report.Ending = true, End
		case tincan.KindOf(err) == tincan.KindReset:
			l.over, l.report.Ending = true, Reset
			if l.report.WantedEnding != Reset {
				l.err = err
			}
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
			return // stopped, or closed by the side that is played
		default:
			l.err = err
		}
	}
}

// take takes what has come.
func (l *listener) take(data []byte) {
	l.compare(data)
	l.report.Received += int64(len(data))
	if l.out != nil {
		if _, err := l.out.Write(data); err != nil {
			l.err = err
		}
	}
	l.got.Add(l.measure(data))
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// compare takes data off what is wanted.
func (l *listener) compare(data []byte) {
	if l.kind == Messages {
		l.compareMessage(data)
		return
	}
	offset := l.report.Received
	for len(data) > 0 {
		if len(l.want) == 0 {
			l.differ(0, offset)
			return
		}
		n := common(data, l.want[0])
		offset += int64(n)
		if n < len(data) && n < len(l.want[0]) {
			l.differ(0, offset)
			n = min(len(data), len(l.want[0])) // so that what is still wanted is known
		}
		data = data[n:]
		if l.want[0] = l.want[0][n:]; len(l.want[0]) == 0 {
			l.want = l.want[1:]
		}
	}
}

func (l *listener) compareMessage(data []byte) {
	if len(l.want) == 0 {
		l.differ(int(l.got.Load()), 0)
	} else {
		if n := common(data, l.want[0]); n < len(data) || n < len(l.want[0]) {
			l.differ(int(l.got.Load()), int64(n))
		}
		l.want = l.want[1:]
	}
}

// differ notes the first difference.
func (l *listener) differ(message int, offset int64) {
	if l.report.Difference == nil && l.whole {
		l.report.Difference = &Difference{Message: message, Offset: offset}
	}
}

// finish compares the ends: what is still wanted will not come.
func (l *listener) finish() {
	if len(l.want) == 0 {
		return
	}
	if l.kind == Messages {
		l.differ(int(l.got.Load()), 0)
	} else {
		l.differ(0, l.report.Received)
	}
}

// common gives the length of the beginning that a and b share.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// A peer is the connection that is played to, of either kind.
type peer interface {
	// bind lets ctx end what blocks, until release.
	bind(ctx context.Context) (release func())
	send(data []byte) (int, error)
	// receive gives bytes, which are valid until the next call.
	receive() ([]byte, error)
	// stop ends a blocked receive, and every later one.
	stop()
	connection() tincan.Conn
}

type streamPeer struct {
	conn net.Conn
	buf  []byte
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

func (p *streamPeer) bind(ctx context.Context) (release func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = p.conn.SetDeadline(past) // a connection that is closed needs none
		close(ended)
	})
	return func() {
		if !stop() {
			<-ended
		}
		_ = p.conn.SetDeadline(time.Time{})
	}
}

func (p *streamPeer) send(data []byte) (int, error) { return p.conn.Write(data) }

func (p *streamPeer) receive() ([]byte, error) {
	n, err := p.conn.Read(p.buf)
	return p.buf[:n], err
}

func (p *streamPeer) stop() { _ = p.conn.SetReadDeadline(past) }

func (p *streamPeer) connection() tincan.Conn { return p.conn }

type messagePeer struct {
	conn    tincan.MessageConn
	buf     []byte
	writing context.Context
	reading context.Context
	cancel  context.CancelFunc
}

func (p *messagePeer) bind(ctx context.Context) (release func()) {
	p.writing = ctx
	p.reading, p.cancel = context.WithCancel(ctx)
	return p.cancel
}

func (p *messagePeer) send(data []byte) (int, error) {
	if err := p.conn.WriteMessage(p.writing, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (p *messagePeer) receive() ([]byte, error) {
	n, err := p.conn.ReadMessage(p.reading, p.buf)
	return p.buf[:n], err
}

func (p *messagePeer) stop() { p.cancel() }

func (p *messagePeer) connection() tincan.Conn { return p.conn }
