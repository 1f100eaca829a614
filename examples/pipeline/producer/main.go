// Producer sends each line of its input as one message: producer ENDPOINT
//
// Any number of producers may send to one consumer; while that is away or slow, they
// wait. A producer ends when its input has ended and all is sent.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: producer ENDPOINT")
		os.Exit(2)
	}
	if err := produce(context.Background(), os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "producer:", err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, endpoint string, in io.Reader) error {
	push := pattern.NewPush(&pattern.Options{Linger: -1}) // Close sends all, however long that takes
	if err := push.Dial(endpoint); err != nil {
		return errors.Join(err, push.Close())
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := push.Send(ctx, lines.Bytes()); err != nil {
			return errors.Join(err, push.Close())
		}
	}
	return errors.Join(lines.Err(), push.Close())
}
