package tincantest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan"
)

// MessageFaults is what a message connection does wrong, as a network does to
// datagrams. The zero value does nothing wrong. What is random in it is the same in every
// run with the same Seed. See [WrapFaultyMessages].
type MessageFaults struct {
	// Seed decides the fate of each message.
	Seed uint64
	// Read is what happens to the messages that are read, Write to those that are written.
	Read, Write MessageFlow
}

// A MessageFlow is what one direction does wrong. The chances are from 0, never, to 1, always.
type MessageFlow struct {
	// Drop is the chance of a message to be lost, Duplicate to come twice, and
	// Reorder to come behind the next one (with none to follow, it is as good as lost).
	Drop, Duplicate, Reorder float64
	// Delay is how long a message is on its way, and Jitter bounds a random time more, which also
	// changes the order of what is written. A message that is written goes its way alone: WriteMessage
	// doesn't wait, an error that shows later is lost, and so is what Close finds on the way.
	Delay, Jitter time.Duration
}

// WrapFaultyMessages gives c with faults. The result owns c, and its methods
// may be called as those of every [tincan.MessageConn]. Capability functions work as c's family has them.
func WrapFaultyMessages(c tincan.MessageConn, f MessageFaults) tincan.MessageConn {
	m := &faultyMessages{
		lower: c, in: newMessageFlow(f.Read, f.Seed, 1), out: newMessageFlow(f.Write, f.Seed, 2),
		news: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

type faultyMessages struct {
	lower   tincan.MessageConn
	in, out *messageFlow

	ctx    context.Context // of what is sent later; ends with Close
	cancel context.CancelFunc
	start  sync.Once
	sender sync.WaitGroup
	news   chan struct{} // something was put on its way
	once   sync.Once
	closed chan struct{}
	err    error // of closing
}

// A messageFlow is one direction.
type messageFlow struct {
	MessageFlow
	turn chan struct{} // holds a value while a call is under way

	// Guarded by turn.
	rand   *rand.Rand
	held   []byte // comes behind the next one, if isHeld
	isHeld bool

	mu    sync.Mutex // guards what follows
	queue []travelling
}

// travelling is a message on its way, in the order of arrival.
type travelling struct {
	msg []byte
	at  time.Time
}

func newMessageFlow(f MessageFlow, seed, direction uint64) *messageFlow {
	return &messageFlow{MessageFlow: f, turn: make(chan struct{}, 1), rand: rand.New(rand.NewPCG(seed, direction))}
}

// fate gives what becomes of msg: the messages that come now, in order, none of which is msg itself.
func (f *messageFlow) fate(msg []byte) (now [][]byte) {
	drop, duplicate, reorder := f.rand.Float64() < f.Drop, f.rand.Float64() < f.Duplicate, f.rand.Float64() < f.Reorder
	if drop {
		return nil
	}
	msg = append([]byte{}, msg...)
	if now = [][]byte{msg}; duplicate {
		now = append(now, msg)
	}
	switch {
	case f.isHeld:
		now = append(now, f.held)
		f.held, f.isHeld = nil, false
	case reorder:
		f.held, f.isHeld = msg, true
		now = now[1:]
	}
	return now
}

// put sends msg on its way.
func (f *messageFlow) put(msg []byte) {
	wait := max(f.Delay, 0)
	if f.Jitter > 0 {
		wait += time.Duration(f.rand.Int64N(int64(f.Jitter)))
	}
	at := time.Now().Add(wait)
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.queue, at, func(t travelling, at time.Time) int {
		if t.at.After(at) {
			return 1
		}
		return -1
	})
	f.queue = slices.Insert(f.queue, i, travelling{msg, at})
}

// first gives what arrives next, and when.
func (f *messageFlow) first() (t travelling, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return travelling{}, false
	}
	return f.queue[0], true
}

// take takes what arrives next off the way, if its time has come.
func (f *messageFlow) take() (msg []byte, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 || time.Now().Before(f.queue[0].at) {
		return nil, false
	}
	msg = f.queue[0].msg
	f.queue = slices.Delete(f.queue, 0, 1)
	return msg, true
}

// ReadMessage is as [tincan.MessageConn] says.
func (c *faultyMessages) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	n, err := c.read(ctx, buf)
	return n, c.opError("read", err)
}

func (c *faultyMessages) read(ctx context.Context, buf []byte) (int, error) {
	if err := c.lock(ctx, c.in); err != nil {
		return 0, err
	}
	defer func() { <-c.in.turn }()
	for {
		if msg, ok := c.in.take(); ok {
			if len(msg) > len(buf) {
				return 0, io.ErrShortBuffer
			}
			return copy(buf, msg), nil
		}
		if t, ok := c.in.first(); ok {
			if err := c.wait(ctx, t.at); err != nil {
				return 0, err
			}
			continue
		}
		n, err := c.lower.ReadMessage(ctx, buf)
		if err != nil {
			return n, err
		}
		for _, msg := range c.in.fate(buf[:n]) {
			c.in.put(msg)
		}
	}
}

// WriteMessage is as [tincan.MessageConn] says.
func (c *faultyMessages) WriteMessage(ctx context.Context, msg []byte) error {
	return c.opError("write", c.write(ctx, msg))
}

func (c *faultyMessages) write(ctx context.Context, msg []byte) error {
	if err := c.lock(ctx, c.out); err != nil {
		return err
	}
	defer func() { <-c.out.turn }()
	for _, msg := range c.out.fate(msg) {
		if c.out.Delay <= 0 && c.out.Jitter <= 0 {
			if err := c.lower.WriteMessage(ctx, msg); err != nil {
				return err
			}
			continue
		}
		c.start.Do(func() { c.sender.Go(c.send) })
		c.out.put(msg)
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
	return nil
}

// send sends what was put on its way when its time comes.
func (c *faultyMessages) send() {
	for c.ctx.Err() == nil {
		if msg, ok := c.out.take(); ok {
			_ = c.lower.WriteMessage(c.ctx, msg) // as the network: nobody is told
			continue
		}
		var due <-chan time.Time
		if t, ok := c.out.first(); ok {
			due = time.After(time.Until(t.at))
		}
		select {
		case <-due:
		case <-c.news:
		case <-c.closed:
		}
	}
}

func (c *faultyMessages) lock(ctx context.Context, f *messageFlow) error {
	select { // these come first, whatever else is ready
	case <-c.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-c.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits until at.
func (c *faultyMessages) wait(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *faultyMessages) opError(op string, err error) error {
	var opErr *net.OpError
	if err == nil || err == io.EOF || errors.As(err, &opErr) {
		return err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// shut ends what the faults have under way around end, which ends the connection below.
func (c *faultyMessages) shut(end func() error) error {
	c.once.Do(func() {
		c.start.Do(func() {}) // no goroutine starts from here on
		close(c.closed)
		c.cancel()
		c.err = end()
		c.sender.Wait()
	})
	return c.err
}

// Close closes the connection below.
func (c *faultyMessages) Close() error { return c.shut(c.lower.Close) }

// Abort is for [tincan.Abort].
func (c *faultyMessages) Abort() error {
	err := tincan.Abort(c.lower)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return c.shut(func() error { return err })
}

func (c *faultyMessages) CloseWrite() error                   { return tincan.CloseWrite(c.lower) }
func (c *faultyMessages) CloseRead() error                    { return tincan.CloseRead(c.lower) }
func (c *faultyMessages) Handshake(ctx context.Context) error { return tincan.Handshake(ctx, c.lower) }

// WaitReadable waits for the connection below: what comes may yet be dropped.
func (c *faultyMessages) WaitReadable(ctx context.Context) error {
	if _, ok := c.in.first(); ok {
		return nil
	}
	return tincan.WaitReadable(ctx, c.lower)
}

func (c *faultyMessages) LocalAddr() net.Addr  { return c.lower.LocalAddr() }
func (c *faultyMessages) RemoteAddr() net.Addr { return c.lower.RemoteAddr() }

// A FaultyMessageTransport opens message connections with faults; for the rest it is as a [FaultyTransport].
type FaultyMessageTransport struct {
	// Transport opens the connections below; nil means the built-in one of the scheme.
	Transport tincan.MessageTransport
	// Dialled and Accepted give the faults of the connection number n, which counts each sort from 0. Nil means none.
	Dialled, Accepted func(n int) MessageFaults

	dialled, accepted counter
}

var _ tincan.MessageTransport = (*FaultyMessageTransport)(nil)

// DialMessage is as [tincan.MessageTransport] says.
func (t *FaultyMessageTransport) DialMessage(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (tincan.MessageConn, error) {
	var c tincan.MessageConn
	var err error
	if t.Transport != nil {
		c, err = t.Transport.DialMessage(ctx, d, e)
	} else {
		plain := *d
		plain.MessageTransports = without(d.MessageTransports, e.Scheme)
		c, err = plain.DialMessageEndpoint(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	return t.dialled.faultyMessages(c, t.Dialled), nil
}

// ListenMessage is as [tincan.MessageTransport] says.
func (t *FaultyMessageTransport) ListenMessage(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (tincan.MessageListener, error) {
	var l tincan.MessageListener
	var err error
	if t.Transport != nil {
		l, err = t.Transport.ListenMessage(ctx, lc, e)
	} else {
		plain := *lc
		plain.MessageTransports = without(lc.MessageTransports, e.Scheme)
		l, err = plain.ListenMessageEndpoint(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	return &faultyMessageListener{l, t}, nil
}

type faultyMessageListener struct {
	tincan.MessageListener
	t *FaultyMessageTransport
}

func (l *faultyMessageListener) Accept(ctx context.Context) (tincan.MessageConn, error) {
	c, err := l.MessageListener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return l.t.accepted.faultyMessages(c, l.t.Accepted), nil
}

func (c *counter) faultyMessages(conn tincan.MessageConn, faults func(int) MessageFaults) tincan.MessageConn {
	n := c.next()
	if faults == nil {
		return conn
	}
	return WrapFaultyMessages(conn, faults(n))
}
