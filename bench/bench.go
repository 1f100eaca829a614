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
func compare(ctx context.Context, w work, reps int, missing func(contender) string, once func(context.Context, contender) (float64, error)) []result {
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
		return l.lacks(c.server(at), c.client(at))
	}
}

// once does one repetition of c.
func (l *lab) once(w work, load time.Duration) func(context.Context, contender) (float64, error) {
	measure := w.measure
	if measure == nil {
		measure = measureClient
	}
	return func(ctx context.Context, c contender) (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, load+repetitionLimit)
		defer cancel()
		at, err := l.newAddress(w.scheme)
		if err != nil {
			return 0, err
		}
		v, err := measure(ctx, l, run{at: at, server: c.server(at), client: c.client(at), place: w.place})
		if err != nil && ctx.Err() != nil {
			return 0, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return v, err
	}
}

// measureClient gives the number that the client prints.
func measureClient(ctx context.Context, l *lab, r run) (float64, error) {
	serverCore, clientCore := l.coresOf(r.place)
	server, err := l.startServer(ctx, r, serverCore)
	if err != nil {
		return 0, err
	}
	defer server.stop()
	client, err := l.start(ctx, r.client, clientCore)
	if err != nil {
		return 0, err
	}
	v, err := client.number()
	if err != nil && server.stderr.String() != "" {
		err = fmt.Errorf("%w; server: %s", err, server.stderr.String())
	}
	return v, err
}

// startServer starts r's server and waits until it is there.
func (l *lab) startServer(ctx context.Context, r run, core int) (*process, error) {
	server, err := l.start(ctx, r.server, core)
	if err != nil {
		return nil, err
	}
	server.serve()
	if err := awaitServer(ctx, r.at, server.done); err != nil {
		server.stop()
		return nil, server.failed(err)
	}
	return server, nil
}
