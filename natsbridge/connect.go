package natsbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
)

// DefaultConnectTimeout bounds how long one server may take to answer.
const DefaultConnectTimeout = 5 * time.Second

// ConnectOptions are the settings of [Connect] beside the endpoint's. The zero value works.
type ConnectOptions struct {
	// Name is what the servers show the connection as ("tincan").
	Name string
	// Timeout bounds the attempt at each server. Zero or negative means [DefaultConnectTimeout].
	Timeout time.Duration
	// Backoff is the wait before a lost connection is tried again, once all servers have been tried.
	Backoff tincan.Backoff
	// OnEvent is told what happens to the connection, one event after the other. It must not block. Nil is nobody.
	OnEvent func(Event)
}

// An Event is something that happened to a connection to NATS or in a [Bridge].
type Event struct {
	Kind EventKind
	// Server is the server's address, where one is concerned.
	Server string
	// Messages is how many messages EventDropped is about.
	Messages int
	// Err says why.
	Err error
}

// An EventKind tells what happened.
type EventKind int

// The kinds of events.
const (
	// EventDisconnected: the connection is lost, and is tried again for ever.
	EventDisconnected EventKind = iota + 1
	// EventReconnected: it is there again, to Server.
	EventReconnected
	// EventFailed: the server or the library told of an error that belongs to no call, such as a permission.
	EventFailed
	// EventDropped: messages were not passed on; Err says why.
	EventDropped
	// EventRetrying: something failed, and is done again.
	EventRetrying
)

var eventNames = [...]string{"unknown", "disconnected", "reconnected", "failed", "dropped", "retrying"}

// String gives the kind in words.
func (k EventKind) String() string {
	if k < 0 || int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Connect connects to one of e's servers. It blocks until one has taken the connection or all have failed, each
// within the Timeout, or ctx ends. Afterwards the connection is made again whenever it is lost, for
// ever; what is published meanwhile is kept, up to 8 MiB. The caller closes it, see [Close]. o may be nil.
//
// Errors are [*net.OpError] with a cause that [tincan.KindOf] knows: no server (connect), credentials or TLS (denied), too late (timeout).
func Connect(ctx context.Context, e *Endpoint, o *ConnectOptions) (*nats.Conn, error) {
	if o == nil {
		o = &ConnectOptions{}
	}
	options, dial, err := e.options(ctx, o)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(strings.Join(e.Servers, ","), options...)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if last := dial.last.Load(); last != nil && errors.Is(err, nats.ErrNoServers) {
			err = *last // why, of the server that was tried last
		}
		return nil, fail("dial", e.Redacted(), err)
	}
	dial.connected.Store(true)
	return nc, nil
}

// options makes the options of nats.go.
func (e *Endpoint) options(ctx context.Context, o *ConnectOptions) ([]nats.Option, *dialer, error) {
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = DefaultConnectTimeout
	}
	name := o.Name
	if name == "" {
		name = "tincan"
	}
	dial := &dialer{ctx: ctx}
	dial.Timeout = timeout
	options := []nats.Option{
		nats.Name(name), nats.Timeout(timeout), nats.SetCustomDialer(dial),
		nats.MaxReconnects(-1), nats.CustomReconnectDelay(o.Backoff.Wait),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), // a host that is gone is noticed in half a minute
	}
	options = append(options, o.events()...)
	switch {
	case e.Password != "":
		options = append(options, nats.UserInfo(e.User, e.Password))
	case e.User != "":
		options = append(options, nats.Token(e.User))
	}
	if e.Options.Creds != "" {
		if _, err := os.ReadFile(e.Options.Creds); err != nil { // the library does so too late: it is no fault of a server
			return nil, nil, e.optionError("creds", err)
		}
		options = append(options, nats.UserCredentials(e.Options.Creds))
	}
	if e.Options.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(e.Options.NKey)
		if err != nil {
			return nil, nil, e.optionError("nkey", err)
		}
		options = append(options, key)
	}
	secure, err := e.secure()
	return append(options, secure...), dial, err
}

// secure gives the options of TLS, none where it is left to the server.
func (e *Endpoint) secure() ([]nats.Option, error) {
	o := &e.Options
	if !e.TLS && o.CA == "" && o.Cert == "" && o.ServerName == "" {
		if o.Key != "" {
			return nil, e.optionError("key", errors.New("there is no cert that it belongs to"))
		}
		return nil, nil
	}
	options := []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName})}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		key := o.Key
		if key == "" {
			key = o.Cert // one file may hold both
		}
		options = append(options, nats.ClientCert(o.Cert, key))
	}
	for _, f := range options { // a file that isn't there is the endpoint's fault, not the server's
		if err := f(&nats.Options{}); err != nil {
			return nil, e.optionError("ca, cert or key", err)
		}
	}
	return options, nil
}

func (e *Endpoint) optionError(option string, err error) error {
	return &tincan.EndpointError{Input: e.Redacted(), Problem: "option " + option + ": " + err.Error()}
}

// events are the handlers that tell o.OnEvent.
func (o *ConnectOptions) events() []nats.Option {
	tell := o.OnEvent
	if tell == nil {
		return []nats.Option{nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})} // it would print them
	}
	return []nats.Option{
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil { // else it was closed
				tell(Event{Kind: EventDisconnected, Server: nc.ConnectedAddr(), Err: known(err)})
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { tell(Event{Kind: EventReconnected, Server: nc.ConnectedAddr()}) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) && s != nil {
				return // who receives counts them
			}
			tell(Event{Kind: EventFailed, Err: known(err)})
		}),
	}
}

// A dialer connects to a server. Until the first connection stands the context of Connect bounds it.
type dialer struct {
	net.Dialer
	ctx       context.Context
	connected atomic.Bool
	last      atomic.Pointer[error]
}

func (d *dialer) Dial(network, at string) (net.Conn, error) {
	ctx := context.Background()
	if !d.connected.Load() {
		ctx = d.ctx
	}
	c, err := d.DialContext(ctx, network, at)
	if err != nil {
		d.last.Store(&err)
	}
	return c, err
}

// Close ends nc in order: what was published is sent, and the servers are told. It blocks until then, for timeout at
// most, and is to be called when nothing receives from nc any more. The error tells of what may not have been sent.
func Close(nc *nats.Conn, timeout time.Duration) error {
	var err error
	if nc.IsConnected() && timeout > 0 {
		err = nc.FlushTimeout(timeout)
	}
	before := nc.Opts.ClosedCB
	closed := make(chan struct{})
	nc.SetClosedHandler(func(nc *nats.Conn) {
		if before != nil {
			before(nc)
		}
		close(closed)
	})
	if nc.IsClosed() {
		return nil
	}
	nc.Close()
	<-closed
	return fail("close", "", err)
}
