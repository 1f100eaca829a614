package main

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan/natsbridge"
)

// natsConsume is the worker that nats.go asks for messages by itself; the other, "NATS", fetches as package natsbridge does.
const natsConsume = "NATS, Consume"

// openJobs opens the queue that package natsbridge makes, so that the settings of stream and consumer are the same for all.
func openJobs(ctx context.Context, at address) (jetstream.Consumer, jetstream.JetStream, error) {
	c, err := nats.Connect(at.natsURL())
	if err != nil {
		return nil, nil, err
	}
	if _, err := natsbridge.OpenQueue(ctx, c, "jobs", nil); err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(c)
	if err != nil {
		return nil, nil, err
	}
	consumer, err := js.Consumer(ctx, "TINCAN_jobs", "workers")
	return consumer, js, err
}

func natsPut(ctx context.Context, at address) (send, error) {
	_, js, err := openJobs(ctx, at)
	return func(job []byte) error {
		_, err := js.Publish(ctx, "jobs", job)
		return err
	}, err
}

// natsFetch asks for as many jobs as package natsbridge does, and handles one after the other.
func natsFetch(ctx context.Context, at address, handle func([]byte)) error {
	consumer, _, err := openJobs(ctx, at)
	if err != nil {
		return err
	}
	for {
		batch, err := consumer.Fetch(jobHandlers)
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			handle(m.Data())
			if err := m.Ack(); err != nil {
				return err
			}
		}
		if err := batch.Error(); err != nil {
			return err
		}
	}
}

func natsConsumeJobs(ctx context.Context, at address, handle func([]byte)) error {
	consumer, _, err := openJobs(ctx, at)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	_, err = consumer.Consume(func(m jetstream.Msg) {
		handle(m.Data())
		if err := m.Ack(); err != nil {
			select {
			case failed <- err:
			default: // one will do
			}
		}
	}, jetstream.PullMaxMessages(jobHandlers))
	if err != nil {
		return err
	}
	return <-failed
}

func openBridgedQueue(ctx context.Context, at address) (*natsbridge.Queue, error) {
	c, err := natsbridgeConnect(ctx, at)
	if err != nil {
		return nil, err
	}
	return natsbridge.OpenQueue(ctx, c, "jobs", nil)
}

func bridgedPut(ctx context.Context, at address) (send, error) {
	q, err := openBridgedQueue(ctx, at)
	if err != nil {
		return nil, err
	}
	return func(job []byte) error { return q.Put(ctx, job) }, nil
}

func bridgedWork(ctx context.Context, at address, handle func([]byte)) error {
	q, err := openBridgedQueue(ctx, at)
	if err != nil {
		return err
	}
	return q.Work(ctx, jobHandlers, func(_ context.Context, parts [][]byte) error {
		handle(parts[0])
		return nil
	})
}
