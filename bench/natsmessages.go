package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsMessenger passes everything through a server of its own: core NATS, whose subscribers take from a channel
// that holds more than can be under way.
var natsMessenger = messenger{
	answer: natsAnswer, request: natsRequest, serve: natsAnswer, call: shared(natsRequest),
	push: func(_ context.Context, at address) (send, error) {
		c, err := nats.Connect(at.natsURL())
		return func(message []byte) error { return c.Publish("bench.flow", message) }, err
	},
	pull: func(_ context.Context, at address) (receive, error) { return natsReceive(at, "bench.flow") },
	publish: func(_ context.Context, at address) (send, error) {
		c, err := nats.Connect(at.natsURL())
		return func(message []byte) error {
			return c.Publish("bench."+string(message[:topicSize]), message[topicSize:])
		}, err
	},
	subscribe: func(_ context.Context, at address, topics []string) (receive, error) {
		for i, t := range topics {
			topics[i] = "bench." + t
		}
		return natsReceive(at, topics...)
	},
	lossyPush: true,
}

func (a address) natsURL() string { return "nats://" + a.at }

// natsBroker URL [store] is the server. One that is to store has a folder of its own, which goes with it.
func natsBroker(ctx context.Context, args []string) (err error) {
	if len(args) < 1 || len(args) > 2 || len(args) == 2 && args[1] != "store" {
		return errUsage
	}
	at, err := parseAddress(args[0])
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(at.port())
	if err != nil {
		return err
	}
	o := &server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: len(args) == 2}
	if o.JetStream {
		if o.StoreDir, err = os.MkdirTemp("", "nats-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.StoreDir)) }()
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

func natsAnswer(ctx context.Context, at address) error {
	c, err := nats.Connect(at.natsURL())
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	_, err = c.Subscribe("echo", func(m *nats.Msg) {
		if err := m.Respond(m.Data); err != nil {
			select {
			case failed <- err:
			default: // one will do
			}
		}
	})
	if err != nil {
		return err
	}
	return untilDone(ctx, func() error { return <-failed })
}

func natsRequest(ctx context.Context, at address) (trip, error) {
	c, err := nats.Connect(at.natsURL())
	if err != nil {
		return nil, err
	}
	request := func(body []byte) ([]byte, error) {
		m, err := c.Request("echo", body, 10*time.Second)
		if err != nil {
			return nil, err
		}
		return m.Data, nil
	}
	for { // until who answers has subscribed
		_, err := request(nil)
		if !errors.Is(err, nats.ErrNoResponders) {
			return request, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func natsReceive(at address, subjects ...string) (receive, error) {
	c, err := nats.Connect(at.natsURL())
	if err != nil {
		return nil, err
	}
	messages := make(chan *nats.Msg, 64<<10)
	for _, s := range subjects {
		if _, err := c.ChanSubscribe(s, messages); err != nil {
			return nil, err
		}
	}
	return func() ([]byte, error) { return (<-messages).Data, nil }, c.Flush()
}
