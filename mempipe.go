package tincan

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// Bounds of what one direction of an in-process connection holds.
const (
	memStreamBytes = 64 << 10
	memMessages    = 1000
)

// A memPipe is one direction of an in-process connection: a bounded queue of
// bytes, or of messages. It has no goroutine; whoever changes its state opens
// the gates of those who wait for that.
type memPipe struct {
	limit    int  // bytes that are queued at most
	messages bool // bytes are cut into messages by sizes

	mu       sync.Mutex // guards what follows
	bytes    ring[byte]
	sizes    ring[int] // of the messages in bytes
	readable wait.Gate
	writable wait.Gate
	turn     wait.Gate // writers of a stream, whose bytes must not mix
	writing  bool

	readErr  error // what the reading end did itself: io.EOF after CloseRead, net.ErrClosed
	writeErr error // what the writing end did itself: EPIPE after CloseWrite, net.ErrClosed
	fin      error // what the reader finds behind the queue: io.EOF or ECONNRESET
	refused  error // what the writer is told when nobody reads: EPIPE or ECONNRESET

	readBy, writeBy memDeadline
}

func newMemPipe(limit int, messages bool) *memPipe {
	return &memPipe{limit: limit, messages: messages}
}

// queued reports whether something is there to read.
func (p *memPipe) queued() bool { return p.bytes.n > 0 || p.sizes.n > 0 }

// awaitRead waits until there is something to read (the error is nil) or never
// will be. p.mu must be held.
func (p *memPipe) awaitRead(ctx context.Context) error {
	for {
		switch {
		case p.readErr != nil:
			return p.readErr
		case p.readBy.passed:
			return os.ErrDeadlineExceeded
		case ctx.Err() != nil:
			return ctxError(ctx)
		case p.queued():
			return nil
		case p.fin != nil:
			return p.fin
		}
		p.readable.Wait(ctx, &p.mu)
	}
}

// awaitWrite waits at g until can holds (the error is nil) or writing has become pointless. p.mu must be held.
func (p *memPipe) awaitWrite(ctx context.Context, g *wait.Gate, can func() bool) error {
	for {
		switch {
		case p.writeErr != nil:
			return p.writeErr
		case p.writeBy.passed:
			return os.ErrDeadlineExceeded
		case ctx.Err() != nil:
			return ctxError(ctx)
		case p.refused != nil:
			return p.refused
		case can():
			return nil
		}
		g.Wait(ctx, &p.mu)
	}
}

func (p *memPipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 && p.readErr == nil && !p.readBy.passed {
		return 0, nil
	}
	defer p.readable.Open() // the next reader may find something too
	if err := p.awaitRead(context.Background()); err != nil {
		return 0, err
	}
	n := p.bytes.take(b)
	p.writable.Open()
	return n, nil
}

func (p *memPipe) write(b []byte) (n int, err error) {
	ctx := context.Background()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.turn.Open()
	if err := p.awaitWrite(ctx, &p.turn, func() bool { return !p.writing }); err != nil {
		return 0, err
	}
	p.writing = true
	defer func() { p.writing = false }()
	for n < len(b) {
		if err := p.awaitWrite(ctx, &p.writable, func() bool { return p.bytes.n < p.limit }); err != nil {
			return n, err
		}
		piece := b[n:min(len(b), n+p.limit-p.bytes.n)]
		p.bytes.put(piece)
		n += len(piece)
		p.readable.Open()
	}
	return n, nil
}

func (p *memPipe) readMessage(ctx context.Context, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.readable.Open()
	if err := p.awaitRead(ctx); err != nil {
		return 0, err
	}
	var size [1]int
	p.sizes.take(size[:])
	p.writable.Open()
	if size[0] > len(b) {
		p.bytes.drop(size[0])
		return 0, io.ErrShortBuffer
	}
	return p.bytes.take(b[:size[0]]), nil
}

func (p *memPipe) writeMessage(ctx context.Context, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.writable.Open() // a shorter message may fit yet
	if len(b) > p.limit {
		return ErrMessageTooLong
	}
	fits := func() bool { return p.sizes.n < memMessages && p.bytes.n+len(b) <= p.limit }
	if err := p.awaitWrite(ctx, &p.writable, fits); err != nil {
		return err
	}
	p.bytes.put(b)
	p.sizes.put([]int{len(b)})
	p.readable.Open()
	return nil
}

// waitReadable waits until a read would not block.
func (p *memPipe) waitReadable(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.readable.Open()
	err := p.awaitRead(ctx)
	if err != nil && (errors.Is(err, p.fin) || errors.Is(err, io.EOF)) {
		return nil // that is the next read's to tell
	}
	return err
}

// shutRead ends the reading side: its reads give own from now on, and the
// writer is refused. What is queued is lost; unread tells whether something was.
func (p *memPipe) shutRead(own, refused error) (unread bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	unread = p.queued()
	p.discard()
	if !errors.Is(p.readErr, net.ErrClosed) {
		p.readErr = own
	}
	if p.refused == nil || !errors.Is(refused, syscall.EPIPE) {
		p.refused = refused
	}
	p.readBy.stop()
	p.openAll()
	return unread
}

// shutWrite ends the writing side: its writes give own from now on, and the
// reader finds fin behind what is queued, which a reset takes away.
func (p *memPipe) shutWrite(own, fin error, discard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if discard {
		p.discard()
	}
	if !errors.Is(p.writeErr, net.ErrClosed) {
		p.writeErr = own
	}
	if p.fin == nil || !errors.Is(fin, io.EOF) {
		p.fin = fin
	}
	p.writeBy.stop()
	p.openAll()
}

func (p *memPipe) discard() {
	p.bytes.drop(p.bytes.n)
	p.sizes.drop(p.sizes.n)
}

func (p *memPipe) openAll() {
	p.readable.Open()
	p.writable.Open()
	p.turn.Open()
}

func (p *memPipe) setReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.readErr, net.ErrClosed) {
		return net.ErrClosed
	}
	p.readBy.set(t, p)
	return nil
}

func (p *memPipe) setWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.writeErr, net.ErrClosed) {
		return net.ErrClosed
	}
	p.writeBy.set(t, p)
	return nil
}

// A memDeadline is a deadline of one end of a memPipe, whose mutex guards it.
type memDeadline struct {
	at     time.Time // zero for none
	passed bool
	timer  *time.Timer // made once and reset, as servers set a deadline for every read
}

func (d *memDeadline) set(t time.Time, p *memPipe) {
	d.stop()
	if t.IsZero() {
		return
	}
	now := time.Now()
	wait := t.Sub(now)
	if wait <= 0 {
		d.passed = true
		p.openAll()
		return
	}
	d.at = now.Add(wait)
	if d.timer != nil {
		d.timer.Reset(wait)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		// The deadline may have been moved while this waited for the mutex.
		if !d.at.IsZero() && !time.Now().Before(d.at) {
			d.passed = true
			p.openAll()
		}
	})
}

func (d *memDeadline) stop() {
	d.at, d.passed = time.Time{}, false
	if d.timer != nil {
		d.timer.Stop()
	}
}
