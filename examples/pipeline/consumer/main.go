// Consumer collects what any number of producers send: consumer ENDPOINT
//
// It prints each message as a line, and takes from the producers in turn, so that a
// busy one doesn't hold up the others.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: consumer ENDPOINT")
		os.Exit(2)
	}
	if err := consume(ctx, os.Args[1]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

// consume prints messages until ctx ends.
func consume(ctx context.Context, endpoint string) error {
	pull := pattern.NewPull(nil)
	defer pull.Close()
	addr, err := pull.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", addr)
	for {
		m, err := pull.Borrow(ctx) // without copying, as it is only printed
		if err != nil {
			return err
		}
		_, err = fmt.Printf("%s\n", bytes.Join(m.Parts, []byte(" ")))
		m.Release()
		if err != nil {
			return err
		}
	}
}
