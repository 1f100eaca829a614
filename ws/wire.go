package ws

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire is the connection underneath as the WebSocket library sees it. The
// library gives a connection up when one write is late, since a frame cut short
// can't be taken back. Here every frame is queued whole; what a write could not
// send in time stays queued and goes out first with the next. Control frames (pongs, the
// answer to a close) never hold up the goroutine that reads.
type wire struct {
	net.Conn
	early  []byte // arrived with the upgrade; for the goroutine that reads, as frames
	frames frames

	flushing   sync.Mutex     // held by whoever writes to Conn
	background sync.WaitGroup // writers of control frames

	mu       sync.Mutex // guards what follows
	out      *buffer    // what was not written yet, nil if nothing
	control  int        // bytes of control frames queued since out was last empty
	held     bool       // the library writes a frame that the caller will flush
	until    time.Time  // the caller's write deadline
	inFlush  bool       // the caller flushes, or waits to
	draining bool       // somebody writes, and will see what is queued meanwhile
	readErr  error      // what the connection said when it could no longer be read
	lostErr  error      // why Close gave up
	closing  bool       // flush is over
	parting  bool       // the rest has until closeWait after part
}

const (
	// closeWait bounds what Close waits for: our frames to leave, then the peer's close frame.
	closeWait = time.Second
	// maxControl bounds what a peer that sends pings and reads nothing makes us keep.
	maxControl = 16 << 10
)

var past = time.Unix(1, 0)

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.receive(p)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.readErr = err
	}
	if err == io.EOF {
		// The library would take it for the end of the message that it is in the middle of.
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// receive reads what came early and then from the connection, up to a frame that is over the limit.
func (w *wire) receive(p []byte) (n int, err error) {
	if w.frames.fault != nil {
		return 0, w.frames.fault
	}
	if len(w.early) > 0 {
		n = copy(p, w.early)
		w.early = w.early[n:]
	} else if n, err = w.Conn.Read(p); n == 0 {
		return 0, err
	}
	if good := w.frames.scan(p[:n]); good < n {
		n, err = good, nil
	}
	if n == 0 {
		return 0, w.frames.fault
	}
	return n, err
}

func (w *wire) readError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.readErr
}

// Write is called by the library: between hold and release with the caller's
// frame, else with a control frame.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		w.out = newBuffer()
	}
	w.out.b = append(w.out.b, p...)
	if w.held {
		return len(p), nil
	}
	if w.control += len(p); w.control > maxControl {
		return 0, errors.New("the peer sends pings and reads no answers")
	}
	if w.closing {
		w.mu.Unlock()
		err := w.drain()
		w.mu.Lock()
		if err != nil {
			return 0, err
		}
		return len(p), nil
	}
	if !w.draining {
		w.background.Go(func() { _ = w.drain() }) // an error comes again to the caller, or to Read
	}
	return len(p), nil
}

// hold makes Write queue what the library writes, until release.
func (w *wire) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

func (w *wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
}

// flush writes what is queued, bounded by the deadline of setDeadline. After
// an error the rest stays queued.
func (w *wire) flush() error {
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return net.ErrClosed
	}
	w.inFlush = true
	_ = w.SetWriteDeadline(w.until) // also for the control frame that may be on its way
	w.mu.Unlock()

	err := w.drain()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlush = false
	if !w.closing && !w.until.IsZero() {
		_ = w.SetWriteDeadline(time.Time{}) // control frames have none
	}
	return err
}

// drain writes until nothing is queued. Writers take turns; what is queued
// while one writes is written by it or by the writer that waits.
func (w *wire) drain() error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	defer func() { w.draining = false }()
	for w.out != nil {
		out := w.out
		w.out = nil
		w.mu.Unlock()
		n, err := w.Conn.Write(out.b)
		w.mu.Lock()
		if err != nil {
			out.b = out.b[n:]
			if w.out != nil {
				out.b = append(out.b, w.out.b...)
			}
			w.out = out
			return err
		}
		out.free()
	}
	w.control = 0
	return nil
}

// setDeadline bounds flush, also one under way. The zero time is no bound.
func (w *wire) setDeadline(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = t
	if w.inFlush && !w.closing {
		_ = w.SetWriteDeadline(t)
	}
}

// interrupt ends a flush under way and allows none any more.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
	if !w.parting {
		_ = w.SetWriteDeadline(past)
	}
}

// part begins the time in which what is queued and the close frame may still
// go out. Only the first call counts.
func (w *wire) part() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
	if !w.parting {
		w.parting = true
		_ = w.SetWriteDeadline(time.Now().Add(closeWait))
	}
}

// Close writes what is queued, for at most closeWait, and closes the connection.
func (w *wire) Close() error {
	w.part()
	late := w.drain()
	err := w.Conn.Close()
	w.background.Wait()
	if errors.Is(late, os.ErrDeadlineExceeded) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lostErr = late
	}
	return err
}

// lost tells whether Close had to give up what was queued.
func (w *wire) lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lostErr
}

// buffer is a slice of bytes that is used again.
type buffer struct{ b []byte }

// maxPooled is the size over which a buffer is left to the garbage collector.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) <= maxPooled {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}
