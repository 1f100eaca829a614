// Consumer is an echo server that tells what it does, for any number of
// producers at once: consumer [ENDPOINT]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	endpoint := "tcp://127.0.0.1:27015"
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: consumer [ENDPOINT]")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	l, err := tincan.Listen(ctx, endpoint)
	if err == nil {
		fmt.Fprintln(os.Stderr, "listening on", l.Addr())
		err = (&service.Server{}).Serve(ctx, l, echo)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

func echo(_ context.Context, conn net.Conn) error {
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			fmt.Println("Bytes received:", n)
			if _, err := conn.Write(buf[:n]); err != nil {
				return err
			}
			fmt.Println("Bytes sent:", n)
		}
		if errors.Is(err, io.EOF) {
			fmt.Println("Connection closing...")
			return tincan.CloseWrite(conn)
		}
		if err != nil {
			return err
		}
	}
}
