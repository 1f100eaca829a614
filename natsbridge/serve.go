package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan/service"
)

// Values of options that are zero.
const (
	DefaultQueue    = "tincan"
	DefaultHandlers = 1024
	DefaultDrain    = 5 * time.Second
)

// Bounds of what has come and not been taken yet; what comes on top is dropped, and counted as such.
const (
	pendingMessages = 64 << 10
	pendingBytes    = 64 << 20
)

// ServeOptions are the settings of [Serve]. The zero value works.
type ServeOptions struct {
	// Queue is the queue group: each request goes to one of its members, on any host. Empty means [DefaultQueue].
	Queue string
	// Handlers bounds the requests that are handled at once. One means that the handler is called inline, without
	// a goroutine of its own, which is the fastest for handlers that don't wait (it must not end its goroutine). Zero or negative means [DefaultHandlers].
	Handlers int
	// Drain is how long what has come may take after ctx ends. Zero means [DefaultDrain]; negative ends the
	// handlers' context at once.
	Drain time.Duration
	// Ready is called once requests come. Nil is nobody.
	Ready func()
	// OnError is told of each request whose handler failed, or whose reply could not be sent. It may
	// be called at once. Nil is nobody.
	OnError func(err error)
}

// Serve answers the requests on subject by h, as one of all that serve it, on any number of hosts, until ctx ends. Then no more
// come, and what has come is answered, within Drain; those still under way then find their ctx ended. When
// Serve returns, every handler has. o may be nil. nc stays open.
//
// A request whose handler fails or panics is answered with the error, which [Request] gives as a [*RemoteError]. A nil reply
// sends nothing. The handler's ctx has ctx's values. Where the one who asked told how long it waits (see [Request], and [Dial] for a write whose ctx has a deadline), the
// handler's ctx ends then, and a request that waited here for longer isn't handled.
//
// The error is nil after ctx ended, else a [*net.OpError]: [net.ErrClosed] where nc was closed.
func Serve(ctx context.Context, nc *nats.Conn, subject string, h service.MessageHandler, o *ServeOptions) error {
	return serve(ctx, nc, subject, o, func(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
		reply, err := h(ctx, m.Data)
		if reply == nil || err != nil {
			return nil, err
		}
		return &nats.Msg{Data: reply}, nil
	})
}

// An answerer answers a request; a nil reply sends nothing.
type answerer func(ctx context.Context, m *nats.Msg) (reply *nats.Msg, err error)

// serve is Serve for whole messages.
func serve(ctx context.Context, nc *nats.Conn, subject string, o *ServeOptions, answer answerer) error {
	s := newServer(ctx, nc, o, answer)
	defer s.cancel()
	sub, err := nc.QueueSubscribe(subject, s.queue, s.request)
	if err != nil {
		return fail("listen", subject, err)
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return fail("listen", subject, err)
	}
	if err := flush(ctx, nc); err != nil { // the server has the subscription now
		_ = sub.Unsubscribe()
		<-closed
		return fail("listen", subject, err)
	}
	if s.ready != nil {
		s.ready()
	}
	select {
	case <-closed:
		s.handlers.Wait()
		return fail("accept", subject, net.ErrClosed)
	case <-ctx.Done():
	}
	stop := time.AfterFunc(max(s.drain, 0), s.cancel)
	defer stop.Stop()
	if sub.Drain() != nil {
		_ = sub.Unsubscribe() // nc isn't connected now, and nobody asks
	}
	select {
	case <-closed:
	case <-s.ctx.Done():
		_ = sub.Unsubscribe()
		<-closed
	}
	s.handlers.Wait()
	if nc.IsConnected() {
		return fail("send", subject, nc.FlushTimeout(DefaultDrain)) // the replies
	}
	return nil
}

// flush waits until the server has taken all that was sent, or fails with ctx or after a while.
func flush(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultConnectTimeout)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// A server is one Serve.
type server struct {
	ctx      context.Context // of the handlers: ends when the drain is over
	cancel   context.CancelFunc
	nc       *nats.Conn
	queue    string
	drain    time.Duration
	ready    func()
	onError  func(error)
	answer   answerer
	inline   bool
	slots    chan struct{}
	handlers sync.WaitGroup
}

func newServer(ctx context.Context, nc *nats.Conn, o *ServeOptions, answer answerer) *server {
	if o == nil {
		o = &ServeOptions{}
	}
	s := &server{nc: nc, queue: o.Queue, drain: o.Drain, ready: o.Ready, onError: o.OnError, answer: answer, inline: o.Handlers == 1}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if s.queue == "" {
		s.queue = DefaultQueue
	}
	if s.drain == 0 {
		s.drain = DefaultDrain
	}
	if s.onError == nil {
		s.onError = func(error) {}
	}
	handlers := o.Handlers
	if handlers <= 0 {
		handlers = DefaultHandlers
	}
	s.slots = make(chan struct{}, handlers)
	return s
}

// request handles a request in a goroutine of its own, for which it waits while there are too many.
func (s *server) request(m *nats.Msg) {
	ctx, cancel, ok := s.limit(m)
	if !ok {
		return
	}
	if s.inline {
		defer cancel()
		s.handle(ctx, m)
		return
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done(): // who asked has given up
		cancel()
		return
	}
	s.handlers.Go(func() {
		defer func() { <-s.slots }()
		defer cancel()
		s.handle(ctx, m)
	})
}

// limit gives the context of a request's handler. It is false for one that comes when all is over.
func (s *server) limit(m *nats.Msg) (context.Context, context.CancelFunc, bool) {
	if s.ctx.Err() != nil {
		return nil, nil, false
	}
	if len(m.Header) > 0 {
		if ms, err := strconv.ParseUint(m.Header.Get(headerTimeout), 10, 31); err == nil {
			ctx, cancel := context.WithTimeout(s.ctx, time.Duration(ms)*time.Millisecond)
			return ctx, cancel, true
		}
	}
	return s.ctx, func() {}, true
}

// handle handles a request and answers it, also where the handler panics or ends its goroutine.
func (s *server) handle(ctx context.Context, m *nats.Msg) {
	var reply *nats.Msg
	var err error
	returned := false
	defer func() {
		if v := recover(); v != nil || !returned { // the latter is runtime.Goexit
			reply, err = nil, &service.PanicError{Value: v, Stack: debug.Stack()}
		}
		s.respond(m, reply, err)
	}()
	reply, err = s.answer(ctx, m)
	returned = true
}

// respond answers m with the reply or the error.
func (s *server) respond(m, reply *nats.Msg, err error) {
	if m.Reply == "" || reply == nil && err == nil {
		if err != nil {
			s.onError(err)
		}
		return
	}
	if err == nil {
		reply.Subject = m.Reply
		if err = tooLong(s.nc, reply); err == nil {
			err = s.nc.PublishMsg(reply)
		}
	}
	if err == nil {
		return
	}
	s.onError(err)
	refusal := nats.NewMsg(m.Reply)
	refusal.Header[headerError] = []string{reason(err)}
	refusal.Header[headerErrorCode] = []string{"500"}
	_ = s.nc.PublishMsg(refusal) // who asked runs into the deadline otherwise
}

// reason is what the one who asked is told: one line of bounded length, and of a panic no more than that it was one.
func reason(err error) string {
	var panicked *service.PanicError
	if errors.As(err, &panicked) {
		return "the handler panicked"
	}
	const limit = 512
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > limit {
		text = fmt.Sprintf("%s...", strings.ToValidUTF8(text[:limit], ""))
	}
	return text
}
