// Server answers each byte by that byte + 1, for any number of clients at
// once: server [ENDPOINT]
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
	endpoint := "tcp://127.0.0.1:9734"
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: server [ENDPOINT], such as unix:server_socket")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	l, err := tincan.Listen(ctx, endpoint)
	if err == nil {
		fmt.Fprintln(os.Stderr, "listening on", l.Addr())
		err = (&service.Server{}).Serve(ctx, l, increment)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func increment(_ context.Context, conn net.Conn) error {
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		for i := range buf[:n] {
			buf[i]++
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
