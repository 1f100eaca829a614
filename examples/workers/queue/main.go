// Queue stands between clients and workers: queue FRONT BACK
//
// None of them need to know each other. It listens for both, gives requests to the
// workers in turn, and takes each reply back to the client who asked.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: queue FRONT BACK")
		os.Exit(2)
	}
	if err := queue(ctx, os.Args[1], os.Args[2]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// queue passes requests and replies until ctx ends.
func queue(ctx context.Context, front, back string) error {
	o := &pattern.Options{Linger: time.Second} // what is on its way at the end still arrives
	clients, workers := pattern.NewRouter(o), pattern.NewDealer(o)
	defer clients.Close()
	defer workers.Close()
	if err := listen(ctx, clients, front); err != nil {
		return err
	}
	if err := listen(ctx, workers, back); err != nil {
		return err
	}
	return pattern.Proxy(ctx, clients, workers, nil)
}

func listen(ctx context.Context, s interface {
	Listen(ctx context.Context, endpoint string) (net.Addr, error)
}, endpoint string,
) error {
	addr, err := s.Listen(ctx, endpoint)
	if err == nil {
		fmt.Fprintln(os.Stderr, "listening on", addr)
	}
	return err
}
