// Client sends the byte A to an increment server and prints the one that
// comes back: client [ENDPOINT]
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/tincan-ipc/tincan"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	endpoint := "tcp://127.0.0.1:9734"
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: client [ENDPOINT], such as unix:server_socket")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	if err := ask(ctx, endpoint); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, endpoint string) error {
	conn, err := tincan.Dial(ctx, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	b := []byte("A")
	if _, err := conn.Write(b); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, b); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	fmt.Printf("char from server = %c\n", b[0])
	return nil
}
