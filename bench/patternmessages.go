package main

import (
	"context"

	"github.com/tincan-ipc/tincan/pattern"
)

// patternMessenger is package pattern, by default but for a Pub that waits for slow subscribers, as libzmq's does
// here. What comes is borrowed where that is to be had.
var patternMessenger = messenger{
	answer: func(ctx context.Context, at address) error {
		s := pattern.NewRep(&pattern.Options{Handlers: 1})
		if _, err := s.Listen(ctx, at.String()); err != nil {
			return err
		}
		return s.Serve(ctx, echoMessage)
	},
	request: func(ctx context.Context, at address) (trip, error) {
		s := pattern.NewReq(nil)
		return firstPart(ctx, s.Request), s.Dial(at.String())
	},
	serve: patternServe(nil),
	call:  shared(patternCall),
	push: func(ctx context.Context, at address) (send, error) {
		s := pattern.NewPush(nil)
		_, err := s.Listen(ctx, at.String())
		return func(message []byte) error { return s.Send(ctx, message) }, err
	},
	pull: func(ctx context.Context, at address) (receive, error) {
		s := pattern.NewPull(nil)
		return patternReceive(ctx, s.Borrow, 0), s.Dial(at.String())
	},
	publish: func(ctx context.Context, at address) (send, error) {
		s := pattern.NewPub(&pattern.Options{NoDrop: true})
		_, err := s.Listen(ctx, at.String())
		return func(message []byte) error { return s.Send(ctx, message) }, err
	},
	subscribe: func(ctx context.Context, at address, topics []string) (receive, error) {
		s := pattern.NewSub(nil)
		for _, t := range topics {
			if err := s.Subscribe(t); err != nil {
				return nil, err
			}
		}
		return patternReceive(ctx, s.Borrow, topicSize), s.Dial(at.String())
	},
	keptPublish: true,
}

// patternDealer has the sockets of the program in C, whose one thread keeps the requests of all callers under way.
var patternDealer = messenger{
	serve: func(ctx context.Context, at address) error {
		s := pattern.NewRouter(nil)
		if _, err := s.Listen(ctx, at.String()); err != nil {
			return err
		}
		for {
			m, err := s.Borrow(ctx)
			if err != nil {
				return err
			}
			err = s.Send(ctx, m.Parts...)
			m.Release()
			if err != nil {
				return err
			}
		}
	},
	ask: func(ctx context.Context, at address) (send, receive, error) {
		s := pattern.NewDealer(nil)
		ask := func(message []byte) error { return s.Send(ctx, message) }
		return ask, patternReceive(ctx, s.Borrow, 0), s.Dial(at.String())
	},
}

// patternInline answers where requests are read.
var patternInline = messenger{serve: patternServe(&pattern.Options{Handlers: 1}), call: shared(patternCall)}

func echoMessage(_ context.Context, request []byte) ([]byte, error) { return request, nil }

func patternServe(o *pattern.Options) func(context.Context, address) error {
	return func(ctx context.Context, at address) error {
		s := pattern.NewServer(o)
		if _, err := s.Listen(ctx, at.String()); err != nil {
			return err
		}
		return s.Serve(ctx, echoMessage)
	}
}

func patternCall(ctx context.Context, at address) (trip, error) {
	s := pattern.NewClient(nil)
	return func(body []byte) ([]byte, error) {
		reply, err := s.Request(ctx, body) // called as programs do: through a variable the parts would be on the heap
		if err != nil {
			return nil, err
		}
		return reply[0], nil
	}, s.Dial(at.String())
}

// firstPart makes a trip of a Request whose messages have one part.
func firstPart(ctx context.Context, request func(context.Context, ...[]byte) ([][]byte, error)) trip {
	return func(body []byte) ([]byte, error) {
		reply, err := request(ctx, body)
		if err != nil {
			return nil, err
		}
		return reply[0], nil
	}
}

// patternReceive gives what follows the first so many bytes of each message.
func patternReceive(ctx context.Context, borrow func(context.Context) (*pattern.Message, error), skip int) receive {
	var last *pattern.Message
	return func() ([]byte, error) {
		if last != nil {
			last.Release()
		}
		var err error
		if last, err = borrow(ctx); err != nil {
			return nil, err
		}
		return last.Parts[0][min(skip, len(last.Parts[0])):], nil
	}
}
