package tincan

import (
	"context"
	"math/rand/v2"
	"net"
	"time"
)

// A Dialer connects to endpoints. The zero value, and a nil pointer, work.
// Its methods may be called at once; its fields must not change meanwhile.
type Dialer struct {
	Config
	// Timeout bounds one attempt to connect, name lookup and handshakes
	// included. Zero or negative leaves it to ctx and the system.
	Timeout time.Duration
	// Retry tries again, until ctx ends, while the failure is one that time
	// may cure: a refused or unreachable peer, a timeout, a missing path.
	Retry bool
	// Backoff is the wait between attempts.
	Backoff Backoff
}

// Backoff is a wait that doubles from Min to Max with each attempt, and from
// which a random part of up to a half is taken so that many clients don't come at once.
type Backoff struct {
	// Min and Max bound the wait. Zero means 100 ms and 2 s.
	Min, Max time.Duration
}

// Wait gives the wait after so many failed attempts, counted from 1.
func (b Backoff) Wait(attempt int) time.Duration {
	lo, hi := b.Min, b.Max
	if lo <= 0 {
		lo = 100 * time.Millisecond
	}
	if hi <= 0 {
		hi = 2 * time.Second
	}
	wait := max(lo, hi)
	if shift := attempt - 1; shift < 30 && lo<<shift>>shift == lo {
		wait = min(wait, lo<<shift)
	}
	return wait - rand.N(wait/2+1)
}

// Dial connects to the endpoint and gives a byte stream: the bare
// [*net.TCPConn] or [*net.UnixConn] wherever nothing has to be added. It
// blocks until the connection, with every handshake, stands or ctx ends.
//
// A wrong URL is an [*EndpointError]; other errors are [*net.OpError] with Op
// "dial". [KindOf] tells them apart.
func Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	return (*Dialer)(nil).Dial(ctx, endpoint)
}

// DialMessage connects to the endpoint and gives a message connection. For
// datagrams nothing is sent: a missing peer shows at a later read or write.
// The rest is as [Dial] says.
func DialMessage(ctx context.Context, endpoint string) (MessageConn, error) {
	return (*Dialer)(nil).DialMessage(ctx, endpoint)
}

// Dial is as the function [Dial], with d's settings.
func (d *Dialer) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	e, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return d.DialEndpoint(ctx, e)
}

// DialEndpoint is Dial for a parsed endpoint.
func (d *Dialer) DialEndpoint(ctx context.Context, e *Endpoint) (net.Conn, error) {
	d, e = d.prepare(e)
	t, err := transport(d.Transports, builtinTransports, "dial", e, "streams")
	if err != nil {
		return nil, err
	}
	return dialRetrying(ctx, d, e, t.Dial)
}

// DialMessage is as the function [DialMessage], with d's settings.
func (d *Dialer) DialMessage(ctx context.Context, endpoint string) (MessageConn, error) {
	e, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return d.DialMessageEndpoint(ctx, e)
}

// DialMessageEndpoint is DialMessage for a parsed endpoint.
func (d *Dialer) DialMessageEndpoint(ctx context.Context, e *Endpoint) (MessageConn, error) {
	d, e = d.prepare(e)
	t, err := transport(d.MessageTransports, builtinMessageTransports, "dial", e, "messages")
	if err != nil {
		return nil, err
	}
	return dialRetrying(ctx, d, e, t.DialMessage)
}

// prepare stands in for a nil Dialer and merges its options into e's.
func (d *Dialer) prepare(e *Endpoint) (*Dialer, *Endpoint) {
	if d == nil {
		d = &Dialer{}
	}
	merged := *e
	merged.Options.fill(&d.Options)
	return d, &merged
}

// dialRetrying makes one attempt after another, each bounded by d.Timeout.
// The attempts get a Dialer that does neither, for what they dial underneath.
func dialRetrying[C Conn](ctx context.Context, d *Dialer, e *Endpoint, dial func(context.Context, *Dialer, *Endpoint) (C, error)) (C, error) {
	once := *d
	once.Timeout, once.Retry = 0, false
	var before error // of the attempt before: it says more than that ctx ended in the middle of the last one
	for attempt := 1; ; attempt++ {
		c, err := dialOnce(ctx, d.Timeout, &once, e, dial)
		if err != nil && before != nil && ended(ctx) {
			return c, before
		}
		if err == nil || !d.Retry || !KindOf(err).Passing() || ended(ctx) {
			return c, err
		}
		before = err
		wait := d.Backoff.Wait(attempt)
		if f := d.trace().Retrying; f != nil {
			f(e, attempt, wait, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return c, err
		}
	}
}

// ended reports whether ctx has ended, also where its timer is a moment late.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func dialOnce[C Conn](ctx context.Context, timeout time.Duration, d *Dialer, e *Endpoint, dial func(context.Context, *Dialer, *Endpoint) (C, error)) (C, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	c, err := dial(ctx, d, e)
	if err != nil {
		var none C
		return none, endpointError("dial", e, err)
	}
	return c, nil
}
