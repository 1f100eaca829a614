// Client is told of each change of a state: client ENDPOINT
//
// It prints the state when it connects, and then each change. The server may come later, or go away and come back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tincan-ipc/tincan/state"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: client ENDPOINT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := follow(ctx, os.Args[1]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// follow prints what it is told until ctx ends.
func follow(ctx context.Context, endpoint string) error {
	f, err := state.Follow(endpoint, nil)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		update, err := f.Next(ctx)
		switch c := update.Change; {
		case err != nil:
			return err
		case c == nil:
			fmt.Printf("%d keys\n", len(update.Snapshot.Values))
		case c.Deleted():
			fmt.Printf("%q is gone\n", c.Key)
		default:
			fmt.Printf("%q is now %s\n", c.Key, c.Value)
		}
	}
}
