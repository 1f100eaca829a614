package main

import (
	"context"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/pub"
	"go.nanomsg.org/mangos/v3/protocol/pull"
	"go.nanomsg.org/mangos/v3/protocol/push"
	"go.nanomsg.org/mangos/v3/protocol/rep"
	"go.nanomsg.org/mangos/v3/protocol/req"
	"go.nanomsg.org/mangos/v3/protocol/sub"
	_ "go.nanomsg.org/mangos/v3/transport/ipc" // that sockets know the scheme
	_ "go.nanomsg.org/mangos/v3/transport/tcp" // likewise
)

// mangosMessenger takes its messages from the library's pool and gives them back, and has queues as long as ours.
var mangosMessenger = messenger{
	answer:  func(ctx context.Context, at address) error { return mangosServe(ctx, at, 1) },
	serve:   func(ctx context.Context, at address) error { return mangosServe(ctx, at, manyCallers) },
	request: mangosRequest, call: mangosCall,
	push: mangosSender(push.NewSocket), pull: mangosPull,
	publish: mangosSender(pub.NewSocket), subscribe: mangosSubscribe,
}

// mangosQueue is the length of queues, in messages.
const mangosQueue = 1000

// mangosServe answers in as many contexts of one socket, each a goroutine.
func mangosServe(ctx context.Context, at address, contexts int) error {
	s, err := rep.NewSocket()
	if err != nil {
		return err
	}
	if err := s.Listen(at.zmq()); err != nil {
		return err
	}
	failed := make(chan error, contexts)
	for range contexts {
		c, err := s.OpenContext()
		if err != nil {
			return err
		}
		go func() {
			for {
				m, err := c.RecvMsg()
				if err == nil {
					err = c.SendMsg(m)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return untilDone(ctx, func() error { return <-failed })
}

func mangosRequest(ctx context.Context, at address) (trip, error) {
	newTrip, err := mangosCall(ctx, at)
	if err != nil {
		return nil, err
	}
	return newTrip()
}

func mangosCall(_ context.Context, at address) (func() (trip, error), error) {
	s, err := req.NewSocket()
	if err != nil {
		return nil, err
	}
	if err := s.Dial(at.zmq()); err != nil {
		return nil, err
	}
	return func() (trip, error) {
		c, err := s.OpenContext()
		if err != nil {
			return nil, err
		}
		var last *mangos.Message
		return func(request []byte) ([]byte, error) {
			if last != nil {
				last.Free()
				last = nil
			}
			if err := c.SendMsg(mangosMessage(request)); err != nil {
				return nil, err
			}
			if last, err = c.RecvMsg(); err != nil {
				return nil, err
			}
			return last.Body, nil
		}, nil
	}, nil
}

func mangosMessage(body []byte) *mangos.Message {
	m := mangos.NewMessage(len(body))
	m.Body = append(m.Body, body...)
	return m
}

// mangosSender is push and publish.
func mangosSender(newSocket func() (mangos.Socket, error)) func(context.Context, address) (send, error) {
	return func(_ context.Context, at address) (send, error) {
		s, err := newSocket()
		if err != nil {
			return nil, err
		}
		if err := s.SetOption(mangos.OptionWriteQLen, mangosQueue); err != nil {
			return nil, err
		}
		if err := s.Listen(at.zmq()); err != nil {
			return nil, err
		}
		return func(message []byte) error { return s.SendMsg(mangosMessage(message)) }, nil
	}
}

func mangosPull(_ context.Context, at address) (receive, error) {
	s, err := pull.NewSocket()
	if err != nil {
		return nil, err
	}
	return mangosReceive(s, at, 0)
}

func mangosSubscribe(_ context.Context, at address, topics []string) (receive, error) {
	s, err := sub.NewSocket()
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if err := s.SetOption(mangos.OptionSubscribe, t); err != nil {
			return nil, err
		}
	}
	return mangosReceive(s, at, topicSize)
}

// mangosReceive connects s and gives what follows the first so many bytes of each message.
func mangosReceive(s mangos.Socket, at address, skip int) (receive, error) {
	if err := s.SetOption(mangos.OptionReadQLen, mangosQueue); err != nil {
		return nil, err
	}
	if err := s.Dial(at.zmq()); err != nil {
		return nil, err
	}
	var last *mangos.Message
	return func() ([]byte, error) {
		if last != nil {
			last.Free()
		}
		var err error
		if last, err = s.RecvMsg(); err != nil {
			return nil, err
		}
		return last.Body[min(skip, len(last.Body)):], nil
	}, nil
}
