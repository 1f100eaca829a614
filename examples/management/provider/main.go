// Provider publishes management information of its own process, once a second: provider ENDPOINT
//
// Any number of consumers, in any language, read it as lines of JSON; "tincan watch ENDPOINT" shows it as a table.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/state"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: provider ENDPOINT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := provide(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "provider:", err)
		os.Exit(1)
	}
}

func provide(ctx context.Context, endpoint string) error {
	l, err := tincan.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", l.Addr())
	table := new(state.Table)
	go measure(ctx, table)
	published := &state.Server{Table: table}
	return new(service.Server).Serve(ctx, l, published.ServeStream)
}

// measure gives the table new values until ctx ends. What is as it was is told to nobody.
func measure(ctx context.Context, table *state.Table) {
	for start := time.Now(); ctx.Err() == nil; time.Sleep(time.Second) {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		_ = table.Apply(map[string]any{ // it fails for values that are no JSON, which these are
			"process.pid": os.Getpid(), "process.uptime": int(time.Since(start).Seconds()),
			"memory.heap": memory.HeapAlloc, "memory.collections": memory.NumGC, "goroutines": runtime.NumGoroutine(),
		})
	}
}
