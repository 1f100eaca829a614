// Worker does the work that a queue hands out: worker BACK
//
// It puts a text in capitals, and prints what it has done. Start as many as there is
// work for.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: worker BACK")
		os.Exit(2)
	}
	if err := work(ctx, os.Args[1]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// work answers requests until ctx ends, and then those that have come until then.
func work(ctx context.Context, endpoint string) error {
	rep := pattern.NewRep(&pattern.Options{Linger: time.Second})
	err := rep.Dial(endpoint)
	if err == nil {
		err = rep.Serve(ctx, capitals)
	}
	return errors.Join(err, rep.Close())
}

func capitals(_ context.Context, request []byte) (reply []byte, err error) {
	reply = bytes.ToUpper(request)
	fmt.Printf("%s\n", reply)
	return reply, nil
}
