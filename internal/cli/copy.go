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
}

// newTap gives a tap for one direction: each has the whole rate for itself.
func newTap(idle *idleWatch, limit tincan.Size, hex *hexDump) *tap {
	t := &tap{idle: idle, hex: hex}
	if limit > 0 {
		// A tenth of a second's worth may pass at once, so that short pauses don't cost rate.
		burst := max(1, min(int(limit/10), bulkBuffer))
		t.limit = rate.NewLimiter(rate.Limit(limit), burst)
	}
	return t
}

// plain reports whether t has to see the bytes at no time, but count them in the end.
func (t *tap) plain() bool { return t.limit == nil && t.hex == nil && t.idle.limit == 0 }

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
	t.idle.touch()
	if t.limit != nil {
		if err := t.limit.WaitN(ctx, len(chunk)); err != nil {
			return half{readErr: err}
		}
	}
	if t.hex != nil {
		t.hex.dump(chunk)
	}
	n, err := dst.Write(chunk)
	t.bytes.Add(int64(n))
	t.idle.touch()
	return half{writeErr: err}
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
	start time.Time
	last  atomic.Int64 // nanoseconds after start
}

func newIdleWatch(limit time.Duration) *idleWatch {
	return &idleWatch{limit: limit, start: time.Now()}
}

func (w *idleWatch) touch() { w.last.Store(int64(time.Since(w.start))) }

// wait blocks until nothing has passed for d, or ctx has ended (false).
func (w *idleWatch) wait(ctx context.Context, d time.Duration) bool {
	for {
		rest := d - (time.Since(w.start) - time.Duration(w.last.Load()))
		if rest <= 0 {
			return true
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return false
		}
	}
}
