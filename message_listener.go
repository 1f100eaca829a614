package tincan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// flowListener is the MessageListener of datagram sockets. It keeps a table
// of peers and gives a flow for each.
//
// The table is bounded, and a newcomer who finds it full is refused: were
// the longest idle peer put out instead, anyone who forges addresses could put
// out all. A flow leaves the table when it is closed or was idle for the timeout. What
// waits to be accepted counts too, and doesn't expire.
type flowListener struct {
	addr     *Endpoint
	trace    *Trace
	guard    *guard
	sockets  []packetSocket
	path     unixPath
	timeout  time.Duration // of an idle flow; negative: none
	maxFlows int
	maxQueue int // bytes queued for one flow
	maxSize  int // of a message sent; 0: the system tells

	newcomer chan struct{} // holds one token when backlog is not empty
	done     chan struct{}
	readers  sync.WaitGroup
	dropped  atomic.Uint64

	mu      sync.Mutex // guards what follows
	flows   map[flowKey]*flow
	backlog []*flow // begun, not yet accepted
	use     listenerUse
	closed  bool
}

// listenerUse is what the datagrams of a listener go to: one thing at a time.
type listenerUse int

const (
	unused listenerUse = iota
	accepting
	answering
)

// defaultMaxQueue is about what the kernel queues for a socket.
const defaultMaxQueue = 256 << 10

func newFlowListener(lc *ListenConfig, e, addr *Endpoint, path unixPath, maxSize int, sockets []packetSocket) *flowListener {
	l := &flowListener{
		addr:     addr,
		trace:    lc.trace(),
		guard:    newGuard(&e.Options),
		sockets:  sockets,
		path:     path,
		timeout:  e.Options.FlowTimeout,
		maxFlows: e.Options.MaxFlows,
		maxQueue: int(e.Options.RecvBuffer),
		maxSize:  maxSize,
		newcomer: make(chan struct{}, 1),
		done:     make(chan struct{}),
		flows:    map[flowKey]*flow{},
	}
	if l.timeout == 0 {
		l.timeout = DefaultFlowTimeout
	}
	if l.maxFlows == 0 {
		l.maxFlows = DefaultMaxFlows
	}
	if l.maxQueue == 0 {
		l.maxQueue = defaultMaxQueue
	}
	if f := l.trace.Listening; f != nil {
		f(l.addr)
	}
	return l
}

// Accept is as [MessageListener] says. The flow's first datagram is there to be read.
func (l *flowListener) Accept(ctx context.Context) (MessageConn, error) {
	if err := l.claim(accepting); err != nil {
		return nil, l.opError("accept", err)
	}
	for {
		if ctx.Err() != nil {
			return nil, l.opError("accept", ctxError(ctx))
		}
		f, err := l.next()
		if err != nil {
			return nil, l.opError("accept", err)
		}
		if f != nil {
			f.begin()
			if t := l.trace.Accepted; t != nil {
				t(l.addr, f)
			}
			return f, nil
		}
		select {
		case <-l.newcomer:
		case <-l.done:
		case <-ctx.Done():
		}
	}
}

// next takes a flow off the backlog, nil where there is none.
func (l *flowListener) next() (*flow, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if len(l.backlog) == 0 {
		l.backlog = nil
		return nil, nil
	}
	f := l.backlog[0]
	l.backlog[0] = nil
	l.backlog = l.backlog[1:]
	if len(l.backlog) > 0 {
		l.announce() // to another caller of Accept
	}
	return f, nil
}

func (l *flowListener) announce() {
	select {
	case l.newcomer <- struct{}{}:
	default:
	}
}

// claim takes the listener's sockets for a use, and starts the readers of the first Accept.
func (l *flowListener) claim(use listenerUse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return net.ErrClosed
	case use == accepting && l.use == accepting:
		return nil
	case l.use != unused:
		return errors.New("the listener's datagrams go elsewhere: Accept and ServeDatagrams exclude each other")
	}
	l.use = use
	if use == accepting {
		for i, s := range l.sockets {
			l.readers.Go(func() {
				a := &arrivals{l: l, socket: i}
				deliver := a.deliver
				_ = l.repeat(func() error {
					defer a.signal()
					return s.receive(deliver)
				})
			})
		}
	}
	return nil
}

// repeat calls step until the socket is closed or its deadline has passed.
// Any other error, such as one that an ICMP message brought about, is not the
// socket's end. If it persists there are pauses.
func (l *flowListener) repeat(step func() error) error {
	pause := time.Duration(0)
	for {
		err := step()
		switch {
		case err == nil:
			pause = 0
			continue
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case pause > 0:
			if f := l.trace.Pausing; f != nil {
				f(l.addr, pause, err)
			}
			select {
			case <-time.After(pause):
			case <-l.done:
			}
		}
		pause = min(max(2*pause, minPause), maxPause)
	}
}

// arrivals are what one call of receive brings to the flows of a socket. Their readers are woken once all is
// queued, so that each finds all that is its own.
type arrivals struct {
	l      *flowListener
	socket int
	idle   []*flow // whose readers are yet to be woken
}

// deliver queues datagrams for their flow, which it begins where there is none.
func (a *arrivals) deliver(route []byte, msgs [][]byte, cut bool) {
	for {
		f, err := a.l.flow(a.socket, route)
		if err != nil {
			for range msgs {
				a.l.refuse(a.socket, route, err)
			}
			return
		}
		lost, idle, alive := f.put(msgs, cut)
		if !alive {
			a.l.forget(f) // it ended just now: these begin the next
			continue
		}
		for _, m := range lost {
			a.l.lost(f.remote, len(m))
		}
		if idle {
			a.idle = append(a.idle, f)
		}
		return
	}
}

// signal wakes the readers.
func (a *arrivals) signal() {
	for i, f := range a.idle {
		f.signal()
		a.idle[i] = nil
	}
	a.idle = a.idle[:0]
}

// flow gives the flow of route.
func (l *flowListener) flow(socket int, route []byte) (*flow, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.flows[flowKey{socket, string(route)}]; f != nil {
		return f, nil
	}
	s := l.sockets[socket]
	switch {
	case l.closed:
		return nil, net.ErrClosed
	case !l.guard.allowsIP(s.source(route)):
		return nil, ErrNotAllowed
	case len(l.flows) >= l.maxFlows:
		return nil, fmt.Errorf("%w: %d flows", ErrTooManyConns, len(l.flows))
	}
	key := flowKey{socket, string(route)}
	f := &flow{
		l:      l,
		key:    key,
		route:  []byte(key.route),
		remote: s.remote(route),
		local:  s.local(route),
		ready:  make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
	if f.named = f.remote != nil; !f.named {
		f.remote = &net.UnixAddr{Net: l.addr.Scheme}
	}
	l.flows[key] = f
	l.backlog = append(l.backlog, f)
	l.announce()
	return f, nil
}

func (l *flowListener) refuse(socket int, route []byte, err error) {
	if f := l.trace.Refused; f != nil && !errors.Is(err, net.ErrClosed) {
		f(l.addr, l.sockets[socket].remote(route), err)
	}
}

func (l *flowListener) lost(remote net.Addr, size int) {
	l.dropped.Add(1)
	if f := l.trace.Dropped; f != nil {
		f(l.addr, remote, size)
	}
}

// Dropped counts the datagrams that found their flow's queue full.
func (l *flowListener) Dropped() uint64 { return l.dropped.Load() }

// forget takes f out of the table.
func (l *flowListener) forget(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flows[f.key] == f {
		delete(l.flows, f.key)
	}
}

var errUnnamed = errors.New("the peer has no address to answer to")

func (l *flowListener) send(f *flow, msg []byte) error {
	switch {
	case !f.named:
		return errUnnamed
	case l.maxSize > 0 && len(msg) > l.maxSize:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrMessageTooLong, len(msg), l.maxSize)
	}
	return l.sockets[f.key.socket].send(f.route, msg)
}

// serveDatagrams is for [ServeDatagrams].
func (l *flowListener) serveDatagrams(ctx context.Context, answer func(*Datagram) []byte) error {
	if err := l.claim(answering); err != nil {
		return l.opError("serve", err)
	}
	defer l.unclaim()
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		l.setReadDeadline(longAgo)
	})
	defer func() {
		if !stop() {
			<-cut
			l.setReadDeadline(time.Time{})
		}
	}()
	var group sync.WaitGroup
	errs := make([]error, len(l.sockets))
	for i, s := range l.sockets {
		h := &datagramHandler{
			answer: answer,
			lost:   func(route []byte, size int) { l.lost(s.remote(route), size) },
		}
		if len(l.guard.allow) > 0 {
			h.admit = func(route []byte) bool {
				allowed := l.guard.allowsIP(s.source(route))
				if !allowed {
					l.refuse(i, route, ErrNotAllowed)
				}
				return allowed
			}
		}
		group.Go(func() { errs[i] = l.repeat(func() error { return s.answer(h) }) })
	}
	group.Wait()
	for _, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			return l.opError("serve", err)
		}
	}
	return nil
}

func (l *flowListener) unclaim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.use = unused
}

func (l *flowListener) setReadDeadline(t time.Time) {
	for _, s := range l.sockets {
		_ = s.SetReadDeadline(t)
	}
}

func (l *flowListener) opError(op string, err error) error {
	return ioError(op, l.addr.Scheme, nil, l.addr, err)
}

// Close ends every flow, as they share its sockets.
func (l *flowListener) Close() error {
	flows, first := l.shut()
	if !first {
		return nil
	}
	errs := []error{l.path.remove()} // while the socket is open, see unixListener.Close
	for _, s := range l.sockets {
		errs = append(errs, s.Close())
	}
	for _, f := range flows {
		f.finish(net.ErrClosed)
	}
	l.readers.Wait()
	return errors.Join(errs...)
}

// shut marks the listener closed and gives the flows that are left.
func (l *flowListener) shut() (flows []*flow, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	l.closed = true
	close(l.done)
	for _, f := range l.flows {
		flows = append(flows, f)
	}
	return flows, true
}

// Addr gives the endpoint, which can be dialled.
func (l *flowListener) Addr() net.Addr { return l.addr }
