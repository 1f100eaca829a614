// Server is the ready service hello, a web server with one page: server [ENDPOINT]
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hello, _ := service.Lookup("hello")
	endpoint := hello.Endpoints[0]
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: server [ENDPOINT]")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	l, err := tincan.Listen(ctx, endpoint)
	if err == nil {
		fmt.Fprintln(os.Stderr, "listening on", l.Addr())
		err = (&service.Server{}).Serve(ctx, l, hello.Stream)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}
