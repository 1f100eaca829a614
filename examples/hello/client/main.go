// Client prints the page of a web server, or says that it was cut short:
// client [ENDPOINT]
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/tincan-ipc/tincan"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	endpoint := "tcp://127.0.0.1:8080"
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: client [ENDPOINT]")
		os.Exit(2)
	} else if len(os.Args) == 2 {
		endpoint = os.Args[1]
	}
	if err := get(ctx, endpoint); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func get(ctx context.Context, endpoint string) error {
	conn, err := tincan.Dial(ctx, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("the answer's head is cut short or wrong: %w", err)
	}
	defer response.Body.Close()
	// The body knows its end, by Content-Length, by chunks or by the connection's.
	if n, err := io.Copy(os.Stdout, response.Body); err != nil {
		return fmt.Errorf("the page is cut short after %d bytes: %w", n, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server says %s", response.Status)
	}
	return nil
}
