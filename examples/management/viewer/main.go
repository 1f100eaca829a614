// Viewer shows management information as it changes, as a table after each change: viewer ENDPOINT [PREFIX...]
//
// With PREFIXes it shows the keys that begin so. The provider may come later, or go away and come back.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/tincan-ipc/tincan/state"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: viewer ENDPOINT [PREFIX...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := view(ctx, os.Args[1], os.Args[2:]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "viewer:", err)
		os.Exit(1)
	}
}

// view shows the state until ctx ends.
func view(ctx context.Context, endpoint string, prefixes []string) error {
	f, err := state.Follow(endpoint, &state.FollowOptions{Prefixes: prefixes})
	if err != nil {
		return err
	}
	defer f.Close()
	var known state.Snapshot
	for {
		update, err := f.Next(ctx)
		if err != nil {
			return err
		}
		known.Apply(update)
		for _, key := range slices.Sorted(maps.Keys(known.Values)) {
			fmt.Printf("%-24q %s\n", key, known.Values[key])
		}
		fmt.Println()
	}
}
