package main

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/tincan-ipc/tincan/natsbridge"
)

// The names of nats.go alone among the work queues, beside "NATS", which does what package natsbridge does.
const (
	natsConsume = "NATS, Consume" // nats.go asks for messages ahead by itself, and doesn't fetch one batch after the other
	natsBare    = "NATS, no ids"  // what is sent again may be stored twice
)

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

// natsPut gives each job an id by which the server stores it once, as package natsbridge does.
func natsPut(ctx context.Context, at address) (send, error) {
	_, js, err := openJobs(ctx, at)
	run := nuid.Next()
	return func(job []byte) error {
		_, err := js.Publish(ctx, "jobs", job, jetstream.WithMsgID(run+"."+strconv.FormatUint(numberOf(job), 36)))
		return err
	}, err
}

// natsPutBare leaves the id out: what is sent again may then be stored twice.
func natsPutBare(ctx context.Context, at address) (send, error) {
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
