// Client asks for the sum of integers: client ENDPOINT INT...
//
// It prints "Result: N". It ends with status 1 when the reply is an error, or when
// none comes in 10 seconds.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

const patience = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: client ENDPOINT INT...")
		os.Exit(2)
	}
	result, err := ask(ctx, os.Args[1], strings.Join(os.Args[2:], " "))
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	fmt.Println("Result:", result)
}

func ask(ctx context.Context, endpoint, integers string) (result string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req := pattern.NewReq(nil)
	defer req.Close()
	if err := req.Dial(endpoint); err != nil {
		return "", err
	}
	parts, err := req.Request(ctx, []byte(integers))
	if err != nil {
		return "", err
	}
	result = string(bytes.Join(parts, nil))
	if reason, failed := strings.CutPrefix(result, "error: "); failed {
		return "", errors.New(reason)
	}
	return result, nil
}
