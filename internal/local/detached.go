package local

import (
	"os"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan/internal/wait"
)

// wakeable gives f so that a deadline ends what blocks on it.
func wakeable(f *os.File) file {
	if f.SetDeadline(time.Time{}) == nil {
		return f
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return f // it doesn't block for long
	}
	return &detached{f: f, closed: make(chan struct{})}
}

// A detached is a file on which the system can't end a blocked call, such as
// a console. Its calls are made by goroutines, which are left behind when a
// deadline passes; what such a read then gives is kept for the next. One
// goroutine may read and one other write.
type detached struct {
	f             *os.File
	closeOnce     sync.Once
	closed        chan struct{}
	reads, writes wait.Deadline

	reading chan result // nil when no read is under way
	rest    []byte      // was read and not yet given
	err     error       // comes behind rest
	writing chan result // nil when no write is under way
}

type result struct {
	p   []byte
	n   int
	err error
}

const detachedBuffer = 64 << 10

func (d *detached) Read(p []byte) (int, error) {
	if len(d.rest) == 0 && d.err == nil {
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	if len(d.rest) == 0 {
		return 0, d.err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// fill waits for a read, which may have begun long ago.
func (d *detached) fill() error {
	if d.reading == nil {
		c := make(chan result, 1)
		d.reading = c
		go func() {
			p := make([]byte, detachedBuffer)
			n, err := d.f.Read(p)
			c <- result{p: p[:n], err: err}
		}()
	}
	r, err := d.await(d.reading, &d.reads)
	if err == nil {
		d.reading, d.rest, d.err = nil, r.p, r.err
	}
	return err
}

// Write copies p, for a write that is left behind goes on with it.
func (d *detached) Write(p []byte) (int, error) {
	if d.writing != nil {
		return 0, os.ErrDeadlineExceeded // the one before has not come back
	}
	c := make(chan result, 1)
	d.writing = c
	q := append([]byte(nil), p...)
	go func() {
		n, err := d.f.Write(q)
		c <- result{n: n, err: err}
	}()
	r, err := d.await(c, &d.writes)
	if err != nil {
		return 0, err
	}
	d.writing = nil
	return r.n, r.err
}

func (d *detached) await(c chan result, limit *wait.Deadline) (result, error) {
	select {
	case r := <-c:
		return r, nil
	case <-limit.Wait():
		return result{}, os.ErrDeadlineExceeded
	case <-d.closed:
		return result{}, os.ErrClosed
	}
}

func (d *detached) Close() error {
	err := os.ErrClosed
	d.closeOnce.Do(func() {
		close(d.closed)
		err = d.f.Close()
	})
	return err
}

func (d *detached) SetReadDeadline(t time.Time) error  { d.reads.Set(t); return nil }
func (d *detached) SetWriteDeadline(t time.Time) error { d.writes.Set(t); return nil }
