// Producer sends to an echo server and reads until that closes: producer [ENDPOINT]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/tincan-ipc/tincan"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	endpoint := "tcp://127.0.0.1:27015"
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: producer [ENDPOINT]")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	if err := produce(ctx, endpoint); err != nil {
		fmt.Fprintln(os.Stderr, "producer:", err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, endpoint string) error {
	conn, err := tincan.Dial(ctx, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	n, err := io.WriteString(conn, "this is a test")
	if err == nil {
		fmt.Println("Bytes Sent:", n)
		err = tincan.CloseWrite(conn)
	}
	if err != nil {
		return err
	}
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			fmt.Println("Bytes received:", n)
		}
		if errors.Is(err, io.EOF) {
			fmt.Println("Connection closed")
			return nil
		}
		if err != nil {
			return err
		}
	}
}
