// Server answers integers, "1 2 3", by their sum, "6": server ENDPOINT
//
// Any other request is answered by a text that begins with "error: ".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: server ENDPOINT")
		os.Exit(2)
	}
	if err := serve(ctx, os.Args[1]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve answers requests until ctx ends, and then those that have come until then.
func serve(ctx context.Context, endpoint string) error {
	rep := pattern.NewRep(&pattern.Options{Linger: time.Second})
	addr, err := rep.Listen(ctx, endpoint)
	if err == nil {
		fmt.Fprintln(os.Stderr, "listening on", addr)
		err = rep.Serve(ctx, answer)
	}
	return errors.Join(err, rep.Close())
}

func answer(_ context.Context, request []byte) (reply []byte, err error) {
	total := int64(0)
	for word := range strings.FieldsSeq(string(request)) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err == nil && (total+n < total) != (n < 0) {
			err = errors.New("too large")
		}
		if err != nil { // given to Serve it would end the client's connection
			return []byte("error: " + err.Error()), nil
		}
		total += n
	}
	return strconv.AppendInt(nil, total, 10), nil
}
