// Server is a calculator over UDP, the ready service calc:
//
//	server HOST PORT
//
// The host :: listens on every address, IPv6 and IPv4.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server HOST PORT")
		os.Exit(2)
	}
	if err := serve(ctx, "udp://"+net.JoinHostPort(os.Args[1], os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, endpoint string) error {
	calc, _ := service.Lookup("calc")
	answer, err := calc.Message(tincan.Options{})
	if err != nil {
		return err
	}
	l, err := tincan.ListenMessage(ctx, endpoint)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", l.Addr())
	server := service.Server{Inline: true} // the calculator never blocks
	return server.ServeMessages(ctx, l, answer)
}
