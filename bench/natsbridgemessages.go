package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan/natsbridge"
)

// The names of package natsbridge among the messengers: bridged does what NATS does, bridgedTold
// sends its deadline with each request.
const (
	bridged     = "natsbridge"
	bridgedTold = "natsbridge, deadline"
)

// natsbridgeMessenger does what natsMessenger does, on the same server, through package natsbridge.
var natsbridgeMessenger = messenger{
	answer: natsbridgeAnswer, request: natsbridgeRequest, serve: natsbridgeAnswer, call: shared(natsbridgeRequest),
	push: func(ctx context.Context, at address) (send, error) {
		c, err := natsbridgeConnect(ctx, at)
		if err != nil {
			return nil, err
		}
		p := natsbridge.NewPublisher(c, "bench")
		topic := []byte("flow")
		return func(message []byte) error { return p.Publish(topic, message) }, nil
	},
	pull: func(ctx context.Context, at address) (receive, error) { return natsbridgeReceive(ctx, at, "flow") },
	publish: func(ctx context.Context, at address) (send, error) {
		c, err := natsbridgeConnect(ctx, at)
		if err != nil {
			return nil, err
		}
		p := natsbridge.NewPublisher(c, "bench")
		return func(message []byte) error { return p.Publish(message[:topicSize], message[topicSize:]) }, nil
	},
	subscribe: func(ctx context.Context, at address, topics []string) (receive, error) {
		return natsbridgeReceive(ctx, at, topics...)
	},
	lossyPush: true,
}

// natsbridgeToldMessenger is for requests alone.
var natsbridgeToldMessenger = messenger{
	answer: natsbridgeAnswer, request: natsbridgeRequestTold, serve: natsbridgeAnswer, call: shared(natsbridgeRequestTold),
}

func natsbridgeConnect(ctx context.Context, at address) (*nats.Conn, error) {
	e, err := natsbridge.ParseEndpoint(at.natsURL() + "/echo")
	if err != nil {
		return nil, err
	}
	return natsbridge.Connect(ctx, e, nil)
}

func natsbridgeAnswer(ctx context.Context, at address) error {
	c, err := natsbridgeConnect(ctx, at)
	if err != nil {
		return err
	}
	echo := func(_ context.Context, request []byte) ([]byte, error) { return request, nil }
	return natsbridge.Serve(ctx, c, "echo", echo, &natsbridge.ServeOptions{Handlers: 1}) // as NATS answers: where it receives
}

// natsbridgeRequest bounds each request where it waits, as NATS does.
func natsbridgeRequest(ctx context.Context, at address) (trip, error) {
	return natsbridgeRequestWith(ctx, at, nil)
}

// natsbridgeRequestTold also tells who answers how long is waited, which NATS has nothing for.
func natsbridgeRequestTold(ctx context.Context, at address) (trip, error) {
	return natsbridgeRequestWith(ctx, at, &natsbridge.RequestOptions{Timeout: 10 * time.Second})
}

func natsbridgeRequestWith(ctx context.Context, at address, o *natsbridge.RequestOptions) (trip, error) {
	c, err := natsbridgeConnect(ctx, at)
	if err != nil {
		return nil, err
	}
	stopped := ctx.Done()
	ctx = context.WithoutCancel(ctx) // as NATS's requests, of which only the time ends the wait
	request := func(body []byte) ([]byte, error) {
		return natsbridge.Request(ctx, c, "echo", body, o)
	}
	for { // until who answers has subscribed
		_, err := request(nil)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return request, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-stopped:
			return nil, err
		}
	}
}

func natsbridgeReceive(ctx context.Context, at address, topics ...string) (receive, error) {
	c, err := natsbridgeConnect(ctx, at)
	if err != nil {
		return nil, err
	}
	s, err := natsbridge.NewSubscriber(ctx, c, "bench", topics...)
	var parts [][]byte
	return func() ([]byte, error) {
		var err error
		if parts, err = s.RecvInto(ctx, parts); err != nil {
			return nil, err
		}
		return parts[1], nil
	}, err
}

// onNATS tells the libraries that go through a server.
func onNATS(library string) bool {
	return library == "NATS" || library == bridged || library == bridgedTold
}
