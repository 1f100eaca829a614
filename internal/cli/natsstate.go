package cli

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// openBucket connects to e and opens its bucket.
func openBucket(ctx context.Context, e *natsbridge.Endpoint, o *natsbridge.ConnectOptions) (*nats.Conn, *natsbridge.Bucket, error) {
	nc, err := natsbridge.Connect(ctx, e, o)
	if err != nil {
		return nil, nil, err
	}
	b, err := natsbridge.OpenBucket(ctx, nc, e.Subject, &natsbridge.BucketOptions{Replicas: e.Options.Replicas, MaxBytes: e.Options.MaxBytes})
	if err != nil {
		_ = natsbridge.Close(nc, 0)
		return nil, nil, err
	}
	return nc, b, nil
}

// A bucketBinding keeps a bucket as a table is.
type bucketBinding struct {
	e       *natsbridge.Endpoint
	nc      *nats.Conn
	bucket  *natsbridge.Bucket
	table   *state.Table
	onEvent func(natsbridge.Event)
}

func (p *program) bindBucket(ctx context.Context, h *hosting) (binding, error) {
	tell := (&natsTeller{report: p.report}).event
	nc, bucket, err := openBucket(ctx, h.nats, &natsbridge.ConnectOptions{OnEvent: tell})
	if err != nil {
		return nil, err
	}
	return &bucketBinding{e: h.nats, nc: nc, bucket: bucket, table: &h.state.table, onEvent: tell}, nil
}

func (b *bucketBinding) addr() net.Addr { return natsAddress{b.e} }
func (b *bucketBinding) close() error   { return natsbridge.Close(b.nc, time.Second) }

func (b *bucketBinding) serve(ctx context.Context, _ service.Server) error {
	w := b.table.Watch()
	defer w.Close()
	err := b.bucket.Publish(ctx, w, b.onEvent)
	return errors.Join(err, b.close())
}

// statePrefix goes before the URL of a state that bridge joins with a bucket.
const statePrefix = "state+"

// isState reports whether bridge is to join states: its first endpoint says so.
func (f *bridgeFlags) isState(args []string) bool {
	for _, urls := range [][]string{args, f.listen, f.dial} {
		if len(urls) > 0 && strings.HasPrefix(urls[0], statePrefix) {
			return true
		}
	}
	return false
}

// bridgeState keeps a bucket as the state is that a server here serves, or serves the state in a bucket here.
func (p *program) bridgeState(cmd *cobra.Command, f *bridgeFlags, args []string) error {
	usage := "as in tincan bridge state+unix:state.sock nats://127.0.0.1:4222/state, or with --listen before it to serve the bucket's"
	from, to, err := f.states(args)
	switch {
	case err != nil:
		return err
	case len(from)+len(to) == 0 || len(from) > 0 && len(to) > 0 || len(from) > 1:
		return &usageError{problem: "a state is followed at one endpoint, or served on some with --listen", remedy: usage}
	}
	e, err := natsbridge.ParseEndpoint(args[len(args)-1])
	if err != nil {
		return err
	}
	ctx, stop := p.interrupts.context(cmd.Context())
	defer stop()
	tell := (&natsTeller{report: p.report}).event
	nc, bucket, err := openBucket(ctx, e, &natsbridge.ConnectOptions{Backoff: f.socket.backoff, OnEvent: tell})
	if err != nil {
		return ended(ctx, err)
	}
	if len(from) == 1 {
		err = p.publishState(ctx, from[0], bucket, e, f.socket.backoff)
	} else {
		err = p.serveBucket(ctx, to, bucket, e, f)
	}
	err = errors.Join(err, natsbridge.Close(nc, f.socket.drain))
	if errors.As(context.Cause(ctx), new(interruptError)) {
		return nil // a server's orderly end
	}
	return err
}

// states gives the endpoints that are followed, and those that are served on.
func (f *bridgeFlags) states(args []string) (from, to []string, err error) {
	if len(args) == 0 || !natsbridge.IsEndpoint(args[len(args)-1]) {
		return nil, nil, &usageError{problem: "the last argument is not nats://HOST/SUBJECT", remedy: "as in nats://127.0.0.1:4222/state"}
	}
	if len(f.topics) > 0 || f.headers {
		return nil, nil, &usageError{problem: "--topic and --headers are for messages, and a state has keys", remedy: "leave them out"}
	}
	for _, group := range []struct {
		urls []string
		into *[]string
	}{{args[:len(args)-1], &from}, {f.dial, &from}, {f.listen, &to}} {
		for _, text := range group.urls {
			url, ok := strings.CutPrefix(text, statePrefix)
			if !ok {
				return nil, nil, &usageError{problem: "a state and a socket can't be joined at once: " + text, remedy: "run a bridge for each"}
			}
			*group.into = append(*group.into, url)
		}
	}
	return from, to, nil
}

// publishState keeps bucket as the state is that is served at url, which may go and come.
func (p *program) publishState(ctx context.Context, url string, bucket *natsbridge.Bucket, e *natsbridge.Endpoint, backoff tincan.Backoff) error {
	follower, err := state.Follow(url, &state.FollowOptions{
		Dialer: &tincan.Dialer{Config: p.socketConfig()}, Backoff: backoff,
		OnLost: func(err error, _ time.Duration) { p.report.note("%s: %v; trying again until it works", url, err) },
	})
	if err != nil {
		return err
	}
	defer follower.Close()
	p.report.joined(e)
	return bucket.Publish(ctx, follower, (&natsTeller{report: p.report}).event)
}

// serveBucket serves the state in bucket on urls.
func (p *program) serveBucket(ctx context.Context, urls []string, bucket *natsbridge.Bucket, e *natsbridge.Endpoint, f *bridgeFlags) error {
	server := &state.Server{Table: &state.Table{}}
	lc := &tincan.ListenConfig{Config: p.config()}
	f.socket.limits.apply(&lc.Options)
	var listeners []*tincan.Listener
	for _, url := range urls {
		at, err := parseStreamEndpoint(url)
		if err == nil {
			var l *tincan.Listener
			if l, err = lc.ListenEndpoint(ctx, at); err == nil {
				listeners = append(listeners, l)
				p.report.listening("state", l.Addr().String())
			}
		}
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return err
		}
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(running, server.Finish)()
	follower := bucket.Follow((&natsTeller{report: p.report}).event)
	defer follower.Close()
	p.report.joined(e)
	var all sync.WaitGroup
	all.Go(func() { cancel(natsbridge.Mirror(running, follower, server.Table)) })
	for _, l := range listeners {
		all.Go(func() {
			if err := (&service.Server{Drain: max(f.socket.drain, 1)}).Serve(running, l, server.ServeStream); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return unlessEnded(context.Cause(running))
}

// unlessEnded is err, nil where a context was ended for no reason.
func unlessEnded(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// A closingFollower follows a state until it is closed.
type closingFollower interface {
	follower
	Close() error
}

// A bucketFollower follows a bucket over a connection of its own.
type bucketFollower struct {
	*natsbridge.Follower
	nc *nats.Conn
}

func (f *bucketFollower) Close() error {
	return errors.Join(f.Follower.Close(), natsbridge.Close(f.nc, 0))
}

// followBucket begins to follow the state in a bucket. Where it is tried again, lost is told why.
func (w *watching) followBucket(ctx context.Context, lost func(err error, wait time.Duration)) (closingFollower, error) {
	e, err := natsbridge.ParseEndpoint(w.endpoint)
	if err != nil {
		return nil, err
	}
	tell := func(e natsbridge.Event) {
		if e.Err != nil {
			lost(e.Err, 0)
		}
	}
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, w.flags.connectTimeout)
		nc, bucket, err := openBucket(once, e, &natsbridge.ConnectOptions{Backoff: w.flags.backoff, OnEvent: tell})
		cancel()
		if err == nil {
			return &bucketFollower{bucket.Follow(tell, w.flags.keys...), nc}, nil
		}
		if !w.retries || !tincan.KindOf(err).Passing() || ctx.Err() != nil {
			return nil, err
		}
		wait := w.flags.backoff.Wait(attempt)
		lost(err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
