package cli

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tincan-ipc/tincan"
)

// A half is how one direction of a stream ended: in order where both errors are nil.
type half struct{ readErr, writeErr error }

// A tap is what happens to the bytes of one direction beside their being passed on.
type tap struct {
	bytes atomic.Int64 // counts what has been passed on
	idle  *idleWatch
	limit *rate.Limiter // nil without
	hex   *hexDump      // nil without
	// record is given the bytes, nil without.
	record func([]byte)
}

// newTap gives a tap for one direction: each has the whole rate for itself.
func newTap(idle *idleWatch, limit tincan.Size, hex *hexDump) *tap {
	t := &tap{idle: idle, hex: hex}
	if limit > 0 {
		t.limit = newLimiter(limit)
	}
	return t
}

// newLimiter lets a tenth of a second's worth pass at once, so that short pauses don't cost rate.
func newLimiter(limit tincan.Size) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(limit), max(1, min(int(limit/10), bulkBuffer)))
}

// plain reports whether t has to see the bytes at no time, but count them in the end.
func (t *tap) plain() bool {
	return t.limit == nil && t.hex == nil && t.record == nil && t.idle.limit == 0
}

// Buffers start small, since a client may be one of ten thousand and silent,
// and grow once bytes come in bulk.
const (
	firstBuffer = 1 << 10
	bulkBuffer  = 128 << 10
)

// copyStream passes on what src gives until it ends, in the chunks it is read in.
func copyStream(ctx context.Context, dst io.Writer, src io.Reader, t *tap) half {
	if t.plain() && kernelCopies(dst, src) {
		return copyInKernel(dst, src, t)
	}
	buf := make([]byte, firstBuffer)
	for {
		room := buf
		if t.limit != nil {
			room = room[:min(len(room), t.limit.Burst())]
		}
		n, err := src.Read(room)
		if n > 0 {
			if h := t.pass(ctx, dst, room[:n]); h != (half{}) {
				return h
			}
		}
		if err == io.EOF {
			return half{}
		}
		if err != nil {
			return half{readErr: err}
		}
		if n == len(buf) && len(buf) < bulkBuffer {
			buf = make([]byte, min(16*len(buf), bulkBuffer))
		}
	}
}

// pass writes chunk to dst, at t's rate, and accounts for it.
func (t *tap) pass(ctx context.Context, dst io.Writer, chunk []byte) half {
	if err := t.admit(ctx, chunk); err != nil {
		return half{readErr: err}
	}
	n, err := dst.Write(chunk)
	t.passed(n)
	return half{writeErr: err}
}

// admit shows chunk where it is to be shown and waits until the rate allows it.
func (t *tap) admit(ctx context.Context, chunk []byte) error {
	t.idle.touch()
	if t.hex != nil {
		t.hex.dump(chunk)
	}
	if t.record != nil {
		t.record(chunk)
	}
	if t.limit == nil {
		return nil
	}
	for n := len(chunk); n > 0; {
		part := min(n, t.limit.Burst())
		if err := t.limit.WaitN(ctx, part); err != nil {
			return err
		}
		t.idle.touch()
		n -= part
	}
	return nil
}

// passed accounts for n bytes.
func (t *tap) passed(n int) {
	t.bytes.Add(int64(n))
	t.idle.touch()
}

// kernelCopies reports whether io.Copy can leave the copying to the kernel
// (sendfile, splice) and does it well: between a socket and a regular file. With
// a pipe or a terminal the standard library would wait for it by spinning.
func kernelCopies(dst io.Writer, src io.Reader) bool {
	if f, ok := dst.(*os.File); ok {
		_, can := src.(io.WriterTo)
		return can && regular(f)
	}
	f, ok := src.(*os.File)
	_, can := dst.(io.ReaderFrom)
	return ok && can && regular(f)
}

func regular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// copyInKernel is io.Copy, whose one error is told apart by which side a
// regular file is on: it alone fails as a local one.
func copyInKernel(dst io.Writer, src io.Reader, t *tap) half {
	n, err := io.Copy(dst, src)
	t.bytes.Add(n)
	_, toFile := dst.(*os.File)
	switch {
	case err == nil:
		return half{}
	case toFile == ofPeer(err):
		return half{readErr: err}
	}
	return half{writeErr: err}
}

// ofPeer reports whether err can only be a connection's, not a regular file's.
func ofPeer(err error) bool {
	switch tincan.KindOf(err) {
	case tincan.KindReset, tincan.KindTimeout, tincan.KindConnect, tincan.KindDenied:
		return true
	}
	return false
}

// idleWatch knows when something last passed.
type idleWatch struct {
	limit time.Duration // zero without
	quiet atomic.Bool   // silence is an orderly end, no longer a timeout
	start time.Time
	last  atomic.Int64 // nanoseconds after start
}

func newIdleWatch(limit time.Duration) *idleWatch {
	return &idleWatch{limit: limit, start: time.Now()}
}

func (w *idleWatch) touch() { w.last.Store(int64(time.Since(w.start))) }

// watch ends a session by cancel once nothing has passed for d.
func (w *idleWatch) watch(ctx context.Context, d time.Duration, cancel context.CancelCauseFunc) {
	for {
		rest := d - (time.Since(w.start) - time.Duration(w.last.Load()))
		if rest <= 0 {
			break
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
	if w.quiet.Load() {
		cancel(errQuiet)
	} else {
		cancel(&timeoutError{what: "nothing passed in either direction for", after: d})
	}
}
