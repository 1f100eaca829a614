package tincan

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// packetSocket is what a flowListener needs of a socket that many peers send
// datagrams to. A route is an opaque string of bytes that says how a reply
// gets back to the peer: its address and the address of ours that it sent to.
type packetSocket interface {
	// receive waits for datagrams and hands them on: together those of a
	// route that came one behind the other. route and msgs are valid during the call,
	// which may reorder msgs. cut tells that msgs is but a part of one.
	receive(deliver func(route []byte, msgs [][]byte, cut bool)) error
	// answer waits for datagrams and sends back what h gives for each.
	answer(h *datagramHandler) error
	// send sends msg along route at once, or fails with an error that isFull knows.
	send(route, msg []byte) error
	// remote and local give the ends of a route; remote is nil for a peer without a name.
	remote(route []byte) net.Addr
	local(route []byte) net.Addr
	// source gives the peer's IP address, the zero one where it has none.
	source(route []byte) netip.Addr
	// SetReadDeadline ends receive and answer, as of net.Conn.
	SetReadDeadline(t time.Time) error
	Close() error
}

// datagramHandler is what answer does with the datagrams of one socket.
type datagramHandler struct {
	admit  func(route []byte) bool // nil admits all
	answer func(*Datagram) []byte
	lost   func(route []byte, size int) // a datagram that didn't fit
}

// A flow is one peer of a datagram listener: a MessageConn over the
// listener's socket. It ends when it was silent both ways for the listener's flow
// timeout: what is queued can still be read, then comes [io.EOF].
type flow struct {
	l             *flowListener
	key           flowKey
	route         []byte
	remote, local net.Addr
	named         bool          // the peer has an address that can be answered
	ready         chan struct{} // holds one token when there is something to read
	ended         chan struct{}
	noRuns        atomic.Bool // the system refuses to take several datagrams as one

	mu    sync.Mutex // guards what follows
	queue messageQueue
	last  time.Time // of the last message, either way
	timer *time.Timer
	end   error // why it ended
}

// flowKey tells peers apart. A peer that sends to two of our addresses is two.
type flowKey struct {
	socket int
	route  string
}

// put queues datagrams, and gives those that there was no room for, in the memory of msgs; alive is false
// where the flow has ended. idle tells that nothing was queued before: the reader awaits a signal.
func (f *flow) put(msgs [][]byte, cut bool) (lost [][]byte, idle, alive bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		return nil, false, false
	}
	f.last = time.Now()
	idle = f.queue.empty()
	lost = msgs[:0]
	for _, m := range msgs {
		if !f.queue.push(m, cut, f.l.maxQueue) {
			lost = append(lost, m)
		}
	}
	return lost, idle, true
}

// signal leaves a token for the reader. There is one, or about to be, while a message is queued that no reader was told of.
func (f *flow) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// take gives the next queued message, if one is there or the flow has ended.
func (f *flow) take(buf []byte) (n int, got bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(f.end, net.ErrClosed):
		return 0, true, f.end
	case f.queue.empty():
		return 0, f.end != nil, f.end
	}
	n, whole := f.queue.pop(buf)
	if !f.queue.empty() {
		f.signal() // who waits meanwhile was told of the first alone
	}
	if !whole {
		return 0, true, io.ErrShortBuffer
	}
	return n, true, nil
}

// ReadMessage is as [MessageConn] says.
func (f *flow) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, f.opError("read", ctxError(ctx))
		}
		n, got, err := f.take(buf)
		switch {
		case err == io.EOF:
			return 0, err
		case err != nil:
			return 0, f.opError("read", err)
		case got:
			return n, nil
		}
		f.wait(ctx)
	}
}

// wait waits for something to read, or the end of f or ctx.
func (f *flow) wait(ctx context.Context) {
	select {
	case <-f.ready:
	case <-f.ended:
	case <-ctx.Done():
	}
}

// readBatch takes all that is queued.
func (f *flow) readBatch(ctx context.Context, b *Batch) error {
	for {
		if ctx.Err() != nil {
			return f.opError("read", ctxError(ctx))
		}
		got, err := f.takeAll(b)
		switch {
		case err == io.EOF:
			return err
		case err != nil:
			return f.opError("read", err)
		case got:
			return nil
		}
		f.wait(ctx)
	}
}

// takeAll moves to b what is queued, if anything is.
func (f *flow) takeAll(b *Batch) (got bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue.empty() {
		return false, f.end
	}
	f.queue.moveTo(b)
	return true, nil
}

// WaitReadable is for the function [WaitReadable].
func (f *flow) WaitReadable(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return f.opError("read", ctxError(ctx))
		}
		f.mu.Lock()
		there, end := !f.queue.empty() || f.end != nil, f.end
		f.mu.Unlock()
		switch {
		case errors.Is(end, net.ErrClosed):
			return f.opError("read", end)
		case there:
			f.signal() // another reader may have been woken for it
			return nil
		}
		f.wait(ctx)
	}
}

// WriteMessage is as [MessageConn] says. The socket is shared with every other flow, so a
// full queue is tried again rather than waited for in the kernel, where one peer would hold up all.
func (f *flow) WriteMessage(ctx context.Context, msg []byte) error {
	for pause := minFullPause; ; pause = min(2*pause, maxFullPause) {
		if ctx.Err() != nil {
			return f.opError("write", ctxError(ctx))
		}
		if err := f.touch(); err != nil {
			return f.opError("write", err)
		}
		err := f.l.send(f, msg)
		if err == nil {
			return nil
		}
		if !isFull(err) {
			return f.opError("write", err)
		}
		select {
		case <-time.After(pause):
		case <-f.ended:
		case <-ctx.Done():
		}
	}
}

// A batchSender is a packetSocket that can send several messages along a
// route at once, or fails with an error that isFull knows. It gives how many, and sets noRuns where the
// system refuses to take several as one.
type batchSender interface {
	sendBatch(route []byte, msgs [][]byte, noRuns *atomic.Bool) (int, error)
}

// writeBatch is WriteMessage for several.
func (f *flow) writeBatch(ctx context.Context, msgs [][]byte) (n int, err error) {
	s, ok := f.l.sockets[f.key.socket].(batchSender)
	for n < len(msgs) {
		short := shorter(msgs[n:], f.l.maxSize)
		if !ok || !f.named || f.l.maxSize == 0 || short == 0 {
			if err := f.WriteMessage(ctx, msgs[n]); err != nil {
				return n, err
			}
			n++
			continue
		}
		if ctx.Err() != nil {
			return n, f.opError("write", ctxError(ctx))
		}
		if err := f.touch(); err != nil {
			return n, f.opError("write", err)
		}
		sent, err := s.sendBatch(f.route, msgs[n:n+short], &f.noRuns)
		n += sent
		if err == nil {
			continue
		}
		if !isFull(err) {
			return n, f.opError("write", err)
		}
		if err := f.WriteMessage(ctx, msgs[n]); err != nil { // which waits for room
			return n, err
		}
		n++
	}
	return n, nil
}

// touch notes that the flow is in use. An ended flow can't be written to.
func (f *flow) touch() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		return net.ErrClosed
	}
	f.last = time.Now()
	return nil
}

// begin starts the idle time: what waits to be accepted doesn't expire.
func (f *flow) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end == nil && f.l.timeout > 0 {
		f.last = time.Now()
		f.timer = time.AfterFunc(f.l.timeout, f.expire)
	}
}

// expire ends the flow if it was silent for the whole time, else it looks again when that could be.
func (f *flow) expire() {
	if f.rest() <= 0 {
		f.finish(io.EOF)
	}
}

// rest gives the time that is left, and sets the timer to it.
func (f *flow) rest() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	rest := f.l.timeout - time.Since(f.last)
	if rest > 0 && f.end == nil {
		f.timer.Reset(rest)
	}
	return rest
}

// finish ends the flow for the reason of end; the first reason stays, but
// that Close drops what an expired flow still holds.
func (f *flow) finish(end error) {
	f.mu.Lock()
	first := f.end == nil
	if first || errors.Is(end, net.ErrClosed) {
		f.end = end
	}
	if errors.Is(end, net.ErrClosed) {
		f.queue.free()
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	if first {
		close(f.ended)
	}
	f.mu.Unlock()
	f.l.forget(f)
}

// Close ends the flow. The peer isn't told; its next datagram starts a new flow.
func (f *flow) Close() error {
	f.finish(net.ErrClosed)
	return nil
}

func (f *flow) LocalAddr() net.Addr  { return f.local }
func (f *flow) RemoteAddr() net.Addr { return f.remote }

func (f *flow) opError(op string, err error) error {
	return ioError(op, f.l.addr.Scheme, f.local, f.remote, err)
}
