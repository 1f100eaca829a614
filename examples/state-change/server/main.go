// Server notifies every client of each change of a state: server ENDPOINT
//
// A line of its input is a change, KEY VALUE. Who connects late gets the
// state as it is; who reads slowly gets the latest value of each key, and holds up nobody.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: server ENDPOINT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, endpoint string) error {
	l, err := tincan.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", l.Addr())
	ctx, cancel := context.WithCancelCause(ctx)
	published := &state.Server{Table: new(state.Table)}
	go func() { cancel(change(published.Table)) }()
	err = new(service.Server).Serve(ctx, l, published.ServeStream)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause // of the input
	}
	return err
}

// change makes the changes that its input asks for.
func change(table *state.Table) (err error) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && err == nil {
		key, value, _ := strings.Cut(lines.Text(), " ")
		err = table.Set(key, value)
	}
	return errors.Join(err, lines.Err())
}
