// Publisher tells subscribers what is new: publisher ENDPOINT
//
// A line of its input is "TOPIC TEXT". It goes out as a message of two parts, to those
// who subscribed to the topic. Who comes late first gets the last text of each.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: publisher ENDPOINT")
		os.Exit(2)
	}
	var news board
	pub := pattern.NewPub(&pattern.Options{Linger: time.Second, OnSubscribe: news.welcome})
	err := publish(context.Background(), pub, &news, os.Args[1])
	if err = errors.Join(err, pub.Close()); err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
}

func publish(ctx context.Context, pub *pattern.Pub, news *board, endpoint string) error {
	addr, err := pub.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", addr)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && err == nil {
		topic, text, _ := strings.Cut(lines.Text(), " ")
		news.last.Store(topic, text) // first: else a new subscriber could miss it
		err = pub.Send(ctx, []byte(topic), []byte(text))
	}
	return errors.Join(err, lines.Err())
}

// A board keeps the last text of each topic.
type board struct{ last sync.Map }

func (b *board) welcome(prefix string, send func(parts ...[]byte) error) {
	for topic, text := range b.last.Range {
		topic, text := topic.(string), text.(string)
		if strings.HasPrefix(topic, prefix) && send([]byte(topic), []byte(text)) != nil {
			return // the subscriber has gone
		}
	}
}
