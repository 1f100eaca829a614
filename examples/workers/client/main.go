// Client sends each line of its input to a queue of workers: client FRONT
//
// It prints the reply and goes on with the next. It ends with status 1 when no reply
// comes in 10 seconds.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

const patience = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: client FRONT")
		os.Exit(2)
	}
	if err := ask(ctx, os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, endpoint string, in io.Reader) error {
	req := pattern.NewReq(nil)
	defer req.Close()
	if err := req.Dial(endpoint); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		reply, err := request(ctx, req, lines.Bytes())
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", bytes.Join(reply, nil))
	}
	return lines.Err()
}

func request(ctx context.Context, req *pattern.Req, text []byte) (reply [][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return req.Request(ctx, text)
}
