package state

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
)

// FollowOptions are the settings of a [Follower]. The zero value works, and so does nil.
type FollowOptions struct {
	// Prefixes narrow the follower to the keys that begin with one of them. None at all are every key.
	Prefixes []string
	// Dialer connects, without its Retry and Backoff. Nil is the zero Dialer. An attempt, the
	// first snapshot included, is bounded by its Timeout, and where that is zero by 30 s.
	Dialer *tincan.Dialer
	// Backoff is the wait before a lost connection, or a failed attempt, is tried again.
	Backoff tincan.Backoff
	// Once makes the first failure, of connecting or later, the error of Next, in place of trying again.
	Once bool
	// MaxLine bounds an object that the server sends, of which a snapshot is the longest. Zero or negative means 16 MiB.
	MaxLine tincan.Size
	// Socket are the settings of the SUB socket that follows a publisher of ZMTP, such as its security. Its Dialer and its bound of a
	// message are the follower's. Nil is the zero Options.
	Socket *pattern.Options
	// OnLost is told why a connection was lost, or could not be made, and the wait before the next attempt. It must not block. Nil is nobody.
	OnLost func(err error, wait time.Duration)
}

const (
	// defaultMaxLine bounds an object from the server, defaultAttempt an attempt.
	defaultMaxLine = 16 << 20
	defaultAttempt = 30 * time.Second
)

// A Follower follows the state of a server, and reconnects by itself. Its methods may be called at once, but for Next, which
// one goroutine calls: while it isn't called little is read, so that the server conflates.
type Follower struct {
	opts    FollowOptions
	open    func(ctx context.Context) (source, error)
	loose   bool     // the source has put what it gives in order itself
	control *control // nil where the server can't be told anything

	cancel  context.CancelFunc
	done    chan struct{} // closed when nothing more is told; err is set before
	err     error
	updates chan Update
}

// A source is one connection to a server.
type source interface {
	// next waits for the next update; the first is a snapshot. It ends when the context of open's does.
	next() (Update, error)
	close()
}

// Follow begins to follow the state that is served at endpoint, which is one of
//
//   - a stream endpoint (tcp, unix, tls, ...) or one of WebSocket (ws, wss): the state protocol in lines or messages;
//   - http://host:port or https://host:port, with a path if it isn't /events: Server-Sent Events;
//   - pub+URL or sub+URL, such as pub+tcp://host:port: a PUB socket of ZMTP.
//
// Of a PUB socket that is not a [Publisher] what comes until nothing has for a second is taken for the snapshot, and
// of keys that were deleted while there was no connection nothing is known.
//
// It doesn't wait for the connection. The error is for an endpoint that can never be followed, an [*tincan.EndpointError]. The follower must be closed.
func Follow(endpoint string, o *FollowOptions) (*Follower, error) {
	f := &Follower{done: make(chan struct{}), updates: make(chan Update)}
	if o != nil {
		f.opts = *o
	}
	if f.opts.MaxLine <= 0 {
		f.opts.MaxLine = defaultMaxLine
	}
	d := tincan.Dialer{}
	if f.opts.Dialer != nil {
		d = *f.opts.Dialer
	}
	if d.Retry = false; d.Timeout <= 0 {
		d.Timeout = defaultAttempt
	}
	f.opts.Dialer = &d
	if err := f.aim(endpoint); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.run(ctx)
	return f, nil
}

// aim finds out how endpoint is followed.
func (f *Follower) aim(endpoint string) error {
	for _, web := range []struct{ prefix, scheme, port string }{{"http://", "tcp", "80"}, {"https://", "tls", "443"}} {
		if rest, ok := strings.CutPrefix(endpoint, web.prefix); ok {
			p, err := parsePage(rest, web.scheme, web.port)
			f.open = func(ctx context.Context) (source, error) { return openEvents(ctx, &f.opts, p) }
			return err
		}
	}
	address, isSocket := cutSocket(endpoint)
	e, err := tincan.ParseEndpoint(address)
	if err != nil {
		return err
	}
	if isSocket {
		f.open, f.loose = func(ctx context.Context) (source, error) { return openSocket(ctx, &f.opts, address) }, true
		if !e.Streams() {
			err = &tincan.EndpointError{Input: endpoint, Problem: "a PUB socket is on a byte stream, and " + e.Scheme + " carries messages", Remedy: "use tcp, unix, tls or ws"}
		}
		return err
	}
	dial, err := lineDialer(e)
	if err != nil {
		return err
	}
	f.open = func(ctx context.Context) (source, error) { return openLines(ctx, &f.opts, dial) }
	f.control = newControl(&f.opts, dial)
	return nil
}

// Next waits for the next update: first a snapshot, then changes, each once and in order; after a connection was lost
// a snapshot again. It blocks until there is one, ctx ends, or the follower is closed ([net.ErrClosed]) or, with Once, has failed. No update is
// lost where ctx ends it.
func (f *Follower) Next(ctx context.Context) (Update, error) {
	select {
	case u := <-f.updates:
		return u, nil
	case <-f.done:
		return Update{}, f.err
	case <-ctx.Done():
		return Update{}, ctx.Err()
	}
}

// Set asks the server to give each key its value, which is marshalled as JSON: all or none. It blocks until the server has, or ctx ends; it needs no
// Next. The error is a [*RemoteError] where the server refused, as it does unless it is writable, and
// [errors.ErrUnsupported] over HTTP and ZMTP, which have no way back. Where it is another it isn't known whether the state has changed.
func (f *Follower) Set(ctx context.Context, values map[string]any) error {
	if f.control == nil {
		return fmt.Errorf("set: %w by this kind of endpoint", errors.ErrUnsupported)
	}
	return f.control.set(ctx, values)
}

// Close ends the follower, its connections and its goroutine. It may be called again. The error is always nil.
func (f *Follower) Close() error {
	f.cancel()
	if f.control != nil {
		f.control.close()
	}
	<-f.done
	return nil
}

// run follows until ctx ends or, with Once, until that fails.
func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	f.err = net.ErrClosed
	for failed := 0; ; {
		told, err := f.attempt(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case f.opts.Once:
			f.err = err
			return
		case told:
			failed = 0
		}
		failed++
		wait := f.opts.Backoff.Wait(failed)
		if f.opts.OnLost != nil {
			f.opts.OnLost(err, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// attempt makes a connection and tells what comes over it, until it ends. It reports whether anything was told.
func (f *Follower) attempt(ctx context.Context) (told bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	impatient := time.AfterFunc(f.opts.Dialer.Timeout, func() { cancel(context.DeadlineExceeded) })
	defer impatient.Stop()
	s, err := f.open(ctx)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	defer s.close()
	o := order{prefixes: newPrefixes(f.opts.Prefixes), loose: f.loose}
	for {
		u, err := s.next()
		if err == nil {
			u, err = o.check(u)
		}
		switch {
		case err != nil:
			return told, causeOf(ctx, err)
		case u == Update{}:
			continue
		}
		impatient.Stop()
		select {
		case f.updates <- u:
			told = true
		case <-ctx.Done():
			return told, ctx.Err()
		}
	}
}

// causeOf gives why ctx ended where that has ended what failed.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// An order is what is known of a connection's updates: they must begin with a snapshot and go on in order.
type order struct {
	prefixes prefixes
	loose    bool // they may not be in order, and need no look
	begun    bool
	last     uint64
}

// check gives u as the user is to be told of it, which is not at all where it is of another prefix.
func (o *order) check(u Update) (Update, error) {
	if s := u.Snapshot; s != nil {
		for key := range s.Values {
			if !o.prefixes.match(key) {
				delete(s.Values, key)
			}
		}
		o.begun, o.last = true, s.Seq
		return u, nil
	}
	c := u.Change
	switch {
	case o.loose:
		return u, nil
	case !o.begun:
		return Update{}, fmt.Errorf("%w: a change before the snapshot", ErrProtocol)
	case c.Seq <= o.last:
		return Update{}, fmt.Errorf("%w: change %d after %d", ErrProtocol, c.Seq, o.last)
	}
	if len(o.prefixes) == 0 {
		c.Missed = c.Seq - o.last - 1
	}
	o.last = c.Seq
	if !o.prefixes.match(c.Key) {
		return Update{}, nil
	}
	return u, nil
}
