package natsbridge

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
)

// DefaultTimeout bounds a request whose context has no deadline.
const DefaultTimeout = 5 * time.Second

// RequestOptions are the settings of [Request]. The zero value works.
type RequestOptions struct {
	// Timeout bounds the request where ctx has no deadline, and whoever serves the subject is told of it. Zero or negative means [DefaultTimeout], of
	// which nobody is told.
	Timeout time.Duration
	// Idempotent says that it does no harm when the request is handled more than once. It is then made again,
	// until the deadline, whenever nobody serves the subject, the connection is lost or no reply comes within Try.
	Idempotent bool
	// Try is how long a reply to an idempotent request is waited for before it is asked again; each
	// further try may take twice as long. Zero or negative means a second.
	Try time.Duration
}

// Request asks on subject and gives the reply. It blocks until that is there, the deadline has passed or ctx ends. The caller
// may reuse request when it returns. o may be nil. It may be called at once.
//
// A deadline that was asked for, by ctx, Timeout or Idempotent, goes with the request as the header Tincan-Timeout, so that who serves it stops where nobody waits any
// more, see [Serve]. That costs a few microseconds; a request with neither has no header, as those of NATS's own programs.
//
// Errors are [*net.OpError] with a cause: [syscall.ECONNREFUSED], at once, where nobody serves the subject (it was not handled);
// [os.ErrDeadlineExceeded] where no reply came in time and [io.ErrUnexpectedEOF] where the connection was lost (it may or may not have been handled);
// [tincan.ErrMessageTooLong] for a request over the server's limit, which isn't sent; a [*RemoteError] where the handler failed. One that is
// idempotent gets the error of its last try, when the deadline has passed.
func Request(ctx context.Context, nc *nats.Conn, subject string, request []byte, o *RequestOptions) ([]byte, error) {
	m, err := exchange(ctx, nc, &nats.Msg{Subject: subject, Data: request}, o)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// exchange is Request for whole messages.
func exchange(ctx context.Context, nc *nats.Conn, m *nats.Msg, o *RequestOptions) (*nats.Msg, error) {
	if o == nil {
		o = &RequestOptions{}
	}
	_, tell := ctx.Deadline()
	if !tell {
		timeout := o.Timeout
		tell = timeout > 0 || o.Idempotent
		if timeout <= 0 {
			timeout = DefaultTimeout
		}
		if ctx.Done() == nil && !o.Idempotent { // nothing else ends it, and a timer does for that
			told := time.Duration(0)
			if tell {
				told = timeout
			}
			return once(nc, m, told, func(m *nats.Msg) (*nats.Msg, error) { return nc.RequestMsg(m, timeout) })
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	try := o.Try
	if try <= 0 {
		try = time.Second
	}
	for attempt := 1; ; attempt++ {
		reply, err := o.attempt(ctx, nc, m, try, tell)
		if err == nil || !o.Idempotent || ctx.Err() != nil || !tincan.KindOf(err).Passing() {
			return reply, err
		}
		if waited := tincan.KindOf(err) == tincan.KindTimeout; waited {
			try *= 2
			continue
		}
		select {
		case <-time.After(retryBackoff.Wait(attempt)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// retryBackoff is the wait before something is tried again that failed at once.
var retryBackoff = tincan.Backoff{Min: 20 * time.Millisecond, Max: time.Second}

// attempt asks once, and tells who serves the subject how long, where tell is set. Only an idempotent request waits no longer than try.
func (o *RequestOptions) attempt(ctx context.Context, nc *nats.Conn, m *nats.Msg, try time.Duration, tell bool) (*nats.Msg, error) {
	if o.Idempotent {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, try)
		defer cancel()
	}
	told := time.Duration(0)
	if tell {
		deadline, _ := ctx.Deadline()
		told = max(time.Until(deadline), 1)
	}
	return once(nc, m, told, func(m *nats.Msg) (*nats.Msg, error) { return nc.RequestMsgWithContext(ctx, m) })
}

// once sends m by send, which waits for the reply, with told, unless that is 0, as how long it does.
func once(nc *nats.Conn, m *nats.Msg, told time.Duration, send func(*nats.Msg) (*nats.Msg, error)) (*nats.Msg, error) {
	if nc.IsReconnecting() { // it would be sent when the connection is back, and nobody may wait for it then
		return nil, fail("request", m.Subject, nats.ErrConnectionReconnecting)
	}
	if told > 0 {
		m = withTimeout(m, told)
	}
	if err := tooLong(nc, m); err != nil {
		return nil, fail("request", m.Subject, err)
	}
	reply, err := send(m)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
			err = os.ErrDeadlineExceeded
		}
		return nil, fail("request", m.Subject, err)
	}
	return reply, remoteError(m.Subject, reply)
}

// withTimeout gives m with a header that tells how long its reply is waited for.
func withTimeout(m *nats.Msg, timeout time.Duration) *nats.Msg {
	sent := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: make(nats.Header, len(m.Header)+1)}
	maps.Copy(sent.Header, m.Header)
	sent.Header[headerTimeout] = []string{strconv.FormatInt(max(timeout.Milliseconds(), 1), 10)}
	return sent
}

// remoteError is the error that a reply tells of, nil for none.
func remoteError(subject string, reply *nats.Msg) error {
	if len(reply.Header) == 0 {
		return nil
	}
	if reply.Header.Get("Status") == "503" && len(reply.Data) == 0 {
		return fail("request", subject, nats.ErrNoResponders)
	}
	if text, ok := reply.Header[headerError]; ok {
		return &net.OpError{Op: "request", Net: scheme, Addr: address(subject), Err: &RemoteError{Reason: text[0]}}
	}
	return nil
}
