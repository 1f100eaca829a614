package tincantest

import (
	"context"
	"maps"
	"net"
	"sync/atomic"

	"github.com/tincan-ipc/tincan"
)

// A FaultyTransport opens byte streams with faults. Put it into the Transports
// of a [tincan.Config] under the scheme whose bytes shall suffer: under "tcp" it
// is also below TLS and WebSocket. The zero value has no faults. Its fields must not change while it is used.
type FaultyTransport struct {
	// Transport opens the streams below; nil means the built-in one of the scheme.
	Transport tincan.Transport
	// Dialled and Accepted give the faults of the connection number n, which counts each
	// sort from 0, so that a first one can fail and the next be well. Nil means none. See [Always].
	Dialled, Accepted func(n int) Faults

	dialled, accepted counter
}

var _ tincan.Transport = (*FaultyTransport)(nil)

// Always gives each connection the faults of f, with a Seed of its own: f.Seed + n.
func Always(f Faults) func(n int) Faults {
	return func(n int) Faults {
		f := f
		f.Seed += uint64(n)
		return f
	}
}

// counter numbers connections from 0.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int { return int(c.n.Add(1)) - 1 }

// faulty wraps the next connection of c with what faults has for it.
func (c *counter) faulty(conn net.Conn, faults func(int) Faults) net.Conn {
	n := c.next()
	if faults == nil {
		return conn
	}
	return WrapFaulty(conn, faults(n))
}

// Dial is as [tincan.Transport] says.
func (t *FaultyTransport) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	var c net.Conn
	var err error
	if t.Transport != nil {
		c, err = t.Transport.Dial(ctx, d, e)
	} else {
		plain := *d
		plain.Transports = without(d.Transports, e.Scheme)
		c, err = plain.DialEndpoint(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	return t.dialled.faulty(c, t.Dialled), nil
}

// Listen is as [tincan.Transport] says.
func (t *FaultyTransport) Listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	var l net.Listener
	var err error
	if t.Transport != nil {
		l, err = t.Transport.Listen(ctx, lc, e)
	} else {
		plain := *lc
		plain.Transports = without(lc.Transports, e.Scheme)
		if _, layered := e.Under(); !layered { // rules and traces are the outer listener's
			bare := *e // lc's options are merged into it already
			bare.Options, plain.Options, plain.Trace = unguarded(e.Options), tincan.Options{}, nil
			e = &bare
		}
		l, err = plain.ListenEndpoint(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	return &faultyListener{l, t}, nil
}

type faultyListener struct {
	net.Listener
	t *FaultyTransport
}

func (l *faultyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.t.accepted.faulty(c, l.t.Accepted), nil
}

// unguarded gives o without the rules that a listener keeps.
func unguarded(o tincan.Options) tincan.Options {
	o.Allow, o.AllowUID, o.AllowGID, o.MaxConns, o.MaxConnsPerSource = nil, nil, nil, 0, 0
	return o
}

// without gives m without key.
func without[T any](m map[string]T, key string) map[string]T {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// OverMem opens the streams of any scheme in process, so that what is above
// TCP, such as TLS and WebSocket, can be tested in a [testing/synctest] bubble. Host and
// port make the name, and port 0 is one like another. It goes below a [FaultyTransport] too.
type OverMem struct{}

var _ tincan.Transport = OverMem{}

func (OverMem) endpoint(e *tincan.Endpoint) *tincan.Endpoint {
	return &tincan.Endpoint{
		Scheme: "mem", Path: "tincantest " + net.JoinHostPort(e.Host, e.Port) + e.Path,
		Options: tincan.Options{Backlog: e.Options.Backlog},
	}
}

// Dial is as [tincan.Transport] says.
func (m OverMem) Dial(ctx context.Context, _ *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	return (&tincan.Dialer{}).DialEndpoint(ctx, m.endpoint(e))
}

// Listen is as [tincan.Transport] says.
func (m OverMem) Listen(ctx context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	l, err := (&tincan.ListenConfig{}).ListenEndpoint(ctx, m.endpoint(e))
	if err != nil {
		return nil, err
	}
	addr := *e
	addr.Options = tincan.Options{}
	return &memListener{l, &addr}, nil
}

// memListener is told by the address that was asked for.
type memListener struct {
	net.Listener
	addr *tincan.Endpoint
}

func (l *memListener) Addr() net.Addr { return l.addr }
