package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

// A feed tells followers in another process of changes. What it opens ends with the process.
type feed struct {
	// publish gives what changes a key.
	publish func(ctx context.Context, at address) (func(key string, v stateValue) error, error)
	// follow adds a follower, which is told of every change from then on.
	follow func(ctx context.Context, at address) (func() (stateValue, error), error)
}

// feeds are known by these names.
var feeds = map[string]feed{
	"lines":       {publishLines, changesOf(followLines)},
	"zmtp":        {publishZMTP, changesOf(followZMTP)},
	"NATS":        {publishNATS, changesOf(followNATS)},
	natsBucket:    {publishNATSBucket, followNATSBucket},
	bridgedBucket: {publishBridgedBucket, followBridgedBucket},
}

// changesOf is for what receives change objects of the state protocol.
func changesOf(follow func(ctx context.Context, at address) (receive, error)) func(context.Context, address) (func() (stateValue, error), error) {
	return func(ctx context.Context, at address) (func() (stateValue, error), error) {
		next, err := follow(ctx, at)
		return func() (stateValue, error) {
			object, err := next()
			if err != nil {
				return stateValue{}, err
			}
			return valueOf(object)
		}, err
	}
}

// openFeed reads LIBRARY URL.
func openFeed(args []string) (feed, address, error) {
	f, ok := feeds[args[0]]
	if !ok {
		return feed{}, address{}, fmt.Errorf("no such feed: %s", args[0])
	}
	at, err := parseAddress(args[1])
	return f, at, err
}

// publishLines serves a table.
func publishLines(ctx context.Context, at address) (func(string, stateValue) error, error) {
	ln, err := tincan.Listen(ctx, at.String())
	if err != nil {
		return nil, err
	}
	table := &state.Table{}
	go func() {
		s := &state.Server{Table: table}
		_ = (&service.Server{Drain: -1}).Serve(ctx, ln, s.ServeStream)
	}()
	return setOf(table), nil
}

func setOf(t *state.Table) func(string, stateValue) error {
	return func(key string, v stateValue) error { return t.Set(key, json.RawMessage(v.append(nil))) }
}

// followLines needs no library: a line is a change.
func followLines(ctx context.Context, at address) (receive, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", at.at)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReaderSize(c, 32<<10)
	next := func() ([]byte, error) {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		return line[:len(line)-1], nil
	}
	first, err := next()
	if err == nil && !strings.Contains(string(first), `"snapshot":`) {
		err = fmt.Errorf("no snapshot: %q", first)
	}
	return next, err
}

// publishNATS sends what a table would, as the change object, with the key as the subject.
func publishNATS(_ context.Context, at address) (func(string, stateValue) error, error) {
	c, err := nats.Connect(at.natsURL())
	var object []byte
	return func(key string, v stateValue) error {
		object = fmt.Appendf(object[:0], `{"seq":%d,"time":"`, v.number+1)
		object = time.Now().UTC().AppendFormat(object, "2006-01-02T15:04:05.000Z07:00")
		object = fmt.Appendf(object, `","key":%q,"value":`, key)
		object = append(v.append(object), '}')
		if err := c.Publish(key, object); err != nil {
			return err
		}
		return nil
	}, err
}

func followNATS(_ context.Context, at address) (receive, error) { return natsReceive(at, "key.*") }

// publishZMTP serves a table on a PUB socket.
func publishZMTP(ctx context.Context, at address) (func(string, stateValue) error, error) {
	table := &state.Table{}
	if err := table.Set("key.first", true); err != nil {
		return nil, err
	}
	p := (&state.Server{Table: table}).NewPublisher(nil)
	if _, err := p.Listen(ctx, at.String()); err != nil {
		return nil, err
	}
	return setOf(table), nil
}

// followZMTP needs no more than a SUB socket. It is there when it has had what the key was first.
func followZMTP(ctx context.Context, at address) (receive, error) {
	s := pattern.NewSub(nil)
	if err := s.Subscribe("key."); err != nil {
		return nil, err
	}
	if err := s.Dial(at.String()); err != nil {
		return nil, err
	}
	var last *pattern.Message
	next := func() ([]byte, error) {
		if last != nil {
			last.Release()
		}
		var err error
		if last, err = s.Borrow(ctx); err != nil {
			return nil, err
		}
		return last.Parts[1], nil
	}
	_, err := next()
	return next, err
}
