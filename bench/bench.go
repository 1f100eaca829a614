package main

import (
	"context"
	"fmt"
	"time"
)

// repetitionLimit bounds one repetition of one contender, on top of the time of its load.
const repetitionLimit = 40 * time.Second

// compare measures every contender of w in turn, and that reps times over: what disturbs
// the machine for a while then falls on all. One that fails takes no further part.
func compare(ctx context.Context, w work, reps int, missing func(contender) string, once func(context.Context, contender) ([]float64, error)) []result {
	results := make([]result, len(w.contenders))
	for i, c := range w.contenders {
		results[i].missing = missing(c)
	}
	for range reps {
		for i, c := range w.contenders {
			r := &results[i]
			if r.missing != "" || r.err != nil || ctx.Err() != nil {
				continue
			}
			v, err := once(ctx, c)
			if err != nil {
				r.err = err
				continue
			}
			r.samples = append(r.samples, v)
		}
	}
	return results
}

// missingFor names what a contender of w needs and the lab lacks.
func (l *lab) missingFor(w work) func(contender) string {
	return func(c contender) string {
		at := address{scheme: w.scheme}
		if w.place == split && len(l.cores) < 2 {
			return "a second core"
		}
		needs := []command{c.server(at), c.client(at)}
		if c.broker != nil {
			needs = append(needs, c.broker(at))
		}
		if c.relay != nil {
			needs = append(needs, c.relay(at, address{scheme: w.to}))
		}
		return l.lacks(needs...)
	}
}

// once does one repetition of c.
func (l *lab) once(w work, load time.Duration) func(context.Context, contender) ([]float64, error) {
	measure := w.measure
	if measure == nil {
		measure = measureClient
	}
	return func(ctx context.Context, c contender) ([]float64, error) {
		ctx, cancel := context.WithTimeout(ctx, load+repetitionLimit)
		defer cancel()
		r, err := l.newRun(w, c)
		if err != nil {
			return nil, err
		}
		v, err := measure(ctx, l, r)
		if err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return v, err
	}
}

// newRun gives c addresses.
func (l *lab) newRun(w work, c contender) (run, error) {
	at, err := l.newAddress(w.scheme)
	if err != nil {
		return run{}, err
	}
	r := run{at: at, client: c.client(at), place: w.place, patient: c.patient}
	if c.broker != nil {
		broker := c.broker(at)
		r.broker = &broker
	}
	if c.relay == nil {
		r.server = c.server(at)
		return r, nil
	}
	if r.to, err = l.newAddress(w.to); err != nil {
		return run{}, err
	}
	relay := c.relay(at, r.to)
	r.server, r.relay = c.server(r.to), &relay
	return r, nil
}

// measureClient gives the number that the client prints, or several where there is something beside.
func measureClient(ctx context.Context, l *lab, r run) ([]float64, error) {
	_, clientCore := l.coresOf(r.place)
	subject, stop, err := l.startServing(ctx, r)
	if err != nil {
		return nil, err
	}
	defer stop()
	client, err := l.start(ctx, r.client, clientCore)
	if err != nil {
		return nil, err
	}
	v, err := client.numbers()
	if err != nil {
		return nil, subject.alsoSaid(err)
	}
	return v, nil
}

// startServing starts what r's client goes to, and gives the process that is measured: the
// server, or the relay, which then has the core that is the server's elsewhere, with both ends on the client's.
func (l *lab) startServing(ctx context.Context, r run) (subject *process, stop func(), err error) {
	serverCore, clientCore := l.coresOf(r.place)
	if r.relay == nil {
		return l.startBrokered(ctx, r, serverCore)
	}
	server, err := l.startServer(ctx, r.server, r.to, clientCore)
	if err != nil {
		return nil, nil, err
	}
	relay, err := l.startServer(ctx, *r.relay, r.at, serverCore)
	if err != nil {
		server.stop()
		return nil, nil, err
	}
	return relay, func() { relay.stop(); server.stop() }, nil
}

// startBrokered starts the broker, where there is one, and the server.
func (l *lab) startBrokered(ctx context.Context, r run, core int) (server *process, stop func(), err error) {
	stopBroker := func() {}
	if r.broker != nil {
		broker, err := l.startServer(ctx, *r.broker, r.at, core)
		if err != nil {
			return nil, nil, err
		}
		stopBroker = broker.stop
	}
	if r.patient {
		if server, err = l.start(ctx, r.server, core); err == nil {
			server.serve()
		}
	} else {
		server, err = l.startServer(ctx, r.server, r.at, core)
	}
	if err != nil {
		stopBroker()
		return nil, nil, err
	}
	return server, func() { server.stop(); stopBroker() }, nil
}

// startServer starts a server and waits until it is there.
func (l *lab) startServer(ctx context.Context, c command, at address, core int) (*process, error) {
	server, err := l.start(ctx, c, core)
	if err != nil {
		return nil, err
	}
	server.serve()
	if err := awaitServer(ctx, at, server.done); err != nil {
		server.stop()
		return nil, server.failed(err)
	}
	return server, nil
}
