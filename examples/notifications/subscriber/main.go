// Subscriber prints notifications as they come: subscriber ENDPOINT [TOPIC...]
//
// It prints a line "TOPIC TEXT" for each whose topic begins with one of the words
// given, or for all. The publisher may come later, or go away and come back.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: subscriber ENDPOINT [TOPIC...]")
		os.Exit(2)
	}
	topics := os.Args[2:]
	if len(topics) == 0 {
		topics = []string{""}
	}
	if err := follow(ctx, os.Args[1], topics); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "subscriber:", err)
		os.Exit(1)
	}
}

// follow prints notifications until ctx ends.
func follow(ctx context.Context, endpoint string, topics []string) error {
	sub := pattern.NewSub(nil)
	defer sub.Close()
	for _, topic := range topics {
		if err := sub.Subscribe(topic); err != nil {
			return err
		}
	}
	if err := sub.Dial(endpoint); err != nil {
		return err
	}
	for {
		parts, err := sub.Recv(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", bytes.Join(parts, []byte(" ")))
	}
}
