package main

import (
	"context"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// serviceEcho URL hosts the ready echo service.
func serviceEcho(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	l, err := tincan.Listen(ctx, args[0])
	if err != nil {
		return err
	}
	echo, _ := service.Lookup("echo")
	return (&service.Server{Drain: -1}).Serve(ctx, l, echo.Stream)
}

// serviceEchoUDP URL hosts it on datagrams, answered in place.
func serviceEchoUDP(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	l, err := tincan.ListenMessage(ctx, args[0])
	if err != nil {
		return err
	}
	echo, _ := service.Lookup("echo")
	answer, err := echo.Message(tincan.Options{})
	if err != nil {
		return err
	}
	return (&service.Server{Drain: -1, Inline: true}).ServeMessages(ctx, l, answer)
}
