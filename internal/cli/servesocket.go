package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
)

// socketPrefix goes before the URL of an endpoint on which a REP socket answers.
const socketPrefix = "rep+"

// newSocketHosting checks that s can be served by a REP socket on url.
func newSocketHosting(s service.Service, url string) (*hosting, error) {
	e, err := parseStreamEndpoint(url)
	if err != nil {
		return nil, err
	}
	if s.Message == nil {
		return nil, &usageError{problem: fmt.Sprintf("%s is served over byte streams, and %s asks for messages", s.Name, socketPrefix), remedy: "leave " + socketPrefix + " out"}
	}
	h := &hosting{service: s, endpoint: e, socket: true}
	if h.answer, err = s.Message(e.Options); err != nil {
		return nil, &tincan.EndpointError{Input: url, Problem: err.Error()}
	}
	return h, nil
}

// try gives a line for the shell that uses the service on e.
func (h *hosting) try(e *tincan.Endpoint) string {
	if h.state != nil {
		return h.state.try(h, e)
	}
	if h.socket {
		return "tincan req --format hex " + e.String()
	}
	return h.service.Try(e)
}

// A socketBinding answers requests on a REP socket.
type socketBinding struct {
	rep    *pattern.Rep
	bound  net.Addr
	handle service.MessageHandler
}

// bindSocket makes a REP socket and has it listen.
func bindSocket(ctx context.Context, lc *tincan.ListenConfig, h *hosting, c *counters) (binding, error) {
	b := &socketBinding{handle: c.timed(h.answer)}
	o := &pattern.Options{
		ListenConfig: lc,
		Linger:       socketLinger,
		Handlers:     1, // none of the ready services blocks
	}
	counted := c.socket(o, label{"service", h.service.Name}, label{"type", "rep"})
	b.rep = pattern.NewRep(o)
	var err error
	if b.bound, err = b.rep.Listen(ctx, h.endpoint.String()); err != nil {
		_ = b.rep.Close()
		return nil, err
	}
	counted.made(b.rep)
	counted.at(socketPrefix + b.bound.String())
	return b, nil
}

// socketLinger is how long replies that are ready may take to be sent when the server ends.
const socketLinger = time.Second

func (b *socketBinding) addr() net.Addr { return b.bound }
func (b *socketBinding) close() error   { return b.rep.Close() }

func (b *socketBinding) serve(ctx context.Context, _ service.Server) error {
	err := b.rep.Serve(ctx, b.handle)
	if closeErr := b.close(); ctx.Err() == nil {
		return errors.Join(err, closeErr)
	}
	return nil
}
