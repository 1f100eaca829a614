package tincan

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
)

// A Batch holds messages that [ReadBatch] read, until the next call or Release. The zero value is empty. It
// is for one goroutine at a time.
type Batch struct {
	msgs [][]byte
	lost int

	mem   []byte  // what msgs point into, where they were copied
	lent  *[]byte // the pooled buffer that mem is
	slots *slots  // likewise, where the kernel filled several at once
}

// Messages gives the messages in their order. They are valid, and may be overwritten, until b is used again.
func (b *Batch) Messages() [][]byte { return b.msgs }

// Lost counts the messages that were longer than the limit and so could not be read.
func (b *Batch) Lost() int { return b.lost }

// keptMessages is how many messages an empty Batch has room for at most.
const keptMessages = 256

// Release gives the memory of the messages back. Whoever keeps b while nothing comes should call it.
func (b *Batch) Release() {
	clear(b.msgs)
	b.msgs, b.lost, b.mem = b.msgs[:0], 0, nil
	if cap(b.msgs) > keptMessages {
		b.msgs = nil
	}
	if b.lent != nil {
		batchMemory.Put(b.lent)
		b.lent = nil
	}
	if b.slots != nil {
		b.slots.free()
		b.slots = nil
	}
}

// batchMemory holds buffers that a batch of small messages fits in, or any one datagram.
var batchMemory = sync.Pool{New: func() any {
	b := make([]byte, 64<<10)
	return &b
}}

// room makes b.mem hold size bytes.
func (b *Batch) room(size int) []byte {
	if b.lent == nil {
		b.lent = batchMemory.Get().(*[]byte)
	}
	b.mem = *b.lent
	if size > len(b.mem) {
		b.mem = make([]byte, size) // rare, and too large to be kept
	}
	return b.mem[:size]
}

// A batchReader reads several messages at once. Memory is taken only when there is something to read.
type batchReader interface {
	readBatch(ctx context.Context, b *Batch) error
}

// A batchWriter writes several at once, and gives how many. The error is that of the one after them.
type batchWriter interface {
	writeBatch(ctx context.Context, msgs [][]byte) (int, error)
}

// A countingConn is a wrapper that only counts what passes, and can be told of it instead.
type countingConn interface {
	Unwrap() Conn
	Passed(received, sent int64)
}

// counted gives the connection inside a countingConn, and whom to tell what passes it.
func counted(c MessageConn) (inside MessageConn, passed func(received, sent int64), ok bool) {
	w, ok := c.(countingConn)
	if !ok {
		return nil, nil, false
	}
	inside, ok = w.Unwrap().(MessageConn)
	return inside, w.Passed, ok
}

func payload(msgs [][]byte) (n int64) {
	for _, m := range msgs {
		n += int64(len(m))
	}
	return n
}

// ReadBatch waits for a message from c, and reads it along with those that
// already wait behind it where that is cheaper than one by one: on Linux with UDP. It takes memory only
// when there is something to read. The errors are those of ReadMessage, but that a message
// longer than limit is lost and only counted; b may then be empty. A limit of zero or less means [DefaultMaxMessage].
//
// From then on Linux may hand datagrams that came as one to c's socket as one (udp(7), UDP_GRO), which c parts
// again; so nobody may read from that socket past c.
//
// A wrapper whose methods are Unwrap() Conn and Passed(received, sent int64) isn't read from: it is told the
// bytes that were read from the connection inside. So it is with WriteBatch.
func ReadBatch(ctx context.Context, c MessageConn, b *Batch, limit int) error {
	if inside, passed, ok := counted(c); ok {
		err := ReadBatch(ctx, inside, b, limit)
		if err == nil {
			passed(payload(b.msgs), 0)
		}
		return err
	}
	b.Release()
	if limit <= 0 {
		limit = DefaultMaxMessage
	}
	if r, ok := c.(batchReader); ok {
		if err := r.readBatch(ctx, b); err != nil {
			return err
		}
		b.keepShort(limit)
		return nil
	}
	size, err := NextSize(ctx, c)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		size = limit
	case err != nil:
		return err
	}
	buf := b.room(max(min(size, limit), 1)) // the end has length 0 too
	n, err := c.ReadMessage(ctx, buf)
	switch {
	case errors.Is(err, io.ErrShortBuffer):
		b.lost++
		return nil
	case err != nil:
		return err
	}
	b.msgs = append(b.msgs, buf[:n])
	return nil
}

// keepShort drops the messages that are over the limit.
func (b *Batch) keepShort(limit int) {
	kept := b.msgs[:0]
	for _, m := range b.msgs {
		if len(m) > limit {
			b.lost++
			continue
		}
		kept = append(kept, m)
	}
	b.msgs = kept
}

// WriteBatch writes msgs in their order as WriteMessage does, and on Linux
// with UDP many in one system call. It gives how many were written; the error is that of the one that comes next.
func WriteBatch(ctx context.Context, c MessageConn, msgs [][]byte) (n int, err error) {
	if inside, passed, ok := counted(c); ok {
		n, err = WriteBatch(ctx, inside, msgs)
		passed(0, payload(msgs[:n]))
		return n, err
	}
	if w, ok := c.(batchWriter); ok {
		return w.writeBatch(ctx, msgs)
	}
	for _, m := range msgs {
		if err := c.WriteMessage(ctx, m); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// NextSize waits until a message from c is there and gives a length that it
// isn't longer than: its own, where the system tells. It consumes nothing. When c has ended it gives 0, or an
// error. Where the family can't tell the error is [errors.ErrUnsupported].
func NextSize(ctx context.Context, c MessageConn) (int, error) {
	own, ok := as[interface {
		NextSize(context.Context) (int, error)
	}](c, false)
	if !ok {
		return 0, opError("read", c, errors.ErrUnsupported)
	}
	n, err := own.NextSize(ctx)
	return n, opError("read", c, err)
}

// NextSize is for the function [NextSize].
func (f *flow) NextSize(ctx context.Context) (int, error) {
	if err := f.WaitReadable(ctx); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queue.next(), nil
}

// NextSize is for the function [NextSize].
func (c memMessageConn) NextSize(ctx context.Context) (int, error) {
	p := c.in
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.readable.Open()
	err := p.awaitRead(ctx)
	switch {
	case err == nil:
		var size [1]int
		p.sizes.peek(size[:])
		return size[0], nil
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil:
		return 0, c.fail("read", err)
	}
	return 0, nil // the read will tell
}

// shorter gives how many of msgs, from the first, are no longer than limit.
func shorter(msgs [][]byte, limit int) int {
	if i := slices.IndexFunc(msgs, func(m []byte) bool { return len(m) > limit }); i >= 0 {
		return i
	}
	return len(msgs)
}
