package main

import (
	"context"

	"github.com/go-zeromq/zmq4"
)

// zmq4Messenger sends each message by SendMulti, which makes one system call of it where Send makes two.
var zmq4Messenger = messenger{
	answer: func(ctx context.Context, at address) error { return zmq4Echo(ctx, at, zmq4.NewRep(ctx)) },
	serve:  func(ctx context.Context, at address) error { return zmq4Echo(ctx, at, zmq4.NewRouter(ctx)) },
	request: func(ctx context.Context, at address) (trip, error) {
		s := zmq4.NewReq(ctx)
		if err := s.Dial(at.zmq()); err != nil {
			return nil, err
		}
		return func(request []byte) ([]byte, error) {
			if err := s.SendMulti(zmq4.NewMsg(request)); err != nil {
				return nil, err
			}
			return zmq4Receive(s, 0)
		}, nil
	},
	push: func(ctx context.Context, at address) (send, error) { return zmq4Sender(at, zmq4.NewPush(ctx)) },
	pull: func(ctx context.Context, at address) (receive, error) {
		s := zmq4.NewPull(ctx)
		return func() ([]byte, error) { return zmq4Receive(s, 0) }, s.Dial(at.zmq())
	},
	publish: func(ctx context.Context, at address) (send, error) { return zmq4Sender(at, zmq4.NewPub(ctx)) },
	subscribe: func(ctx context.Context, at address, topics []string) (receive, error) {
		s := zmq4.NewSub(ctx)
		if err := s.Dial(at.zmq()); err != nil {
			return nil, err
		}
		for _, t := range topics {
			if err := s.SetOption(zmq4.OptionSubscribe, t); err != nil {
				return nil, err
			}
		}
		return func() ([]byte, error) { return zmq4Receive(s, topicSize) }, nil
	},
}

// zmq4Echo sends back whatever comes.
func zmq4Echo(ctx context.Context, at address, s zmq4.Socket) error {
	if err := s.Listen(at.zmq()); err != nil {
		return err
	}
	return untilDone(ctx, func() error {
		for {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			if err := s.SendMulti(m); err != nil {
				return err
			}
		}
	})
}

func zmq4Sender(at address, s zmq4.Socket) (send, error) {
	return func(message []byte) error {
		// It keeps what it is given.
		return s.SendMulti(zmq4.NewMsg(append([]byte(nil), message...)))
	}, s.Listen(at.zmq())
}

// zmq4Receive gives what follows the first so many bytes of the next message.
func zmq4Receive(s zmq4.Socket, skip int) ([]byte, error) {
	m, err := s.Recv()
	if err != nil || len(m.Frames) == 0 {
		return nil, err
	}
	body := m.Frames[len(m.Frames)-1]
	return body[min(skip, len(body)):], nil
}
