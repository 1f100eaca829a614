package tincan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// numbered gives messages of these lengths that can be told apart.
func numbered(sizes ...int) [][]byte {
	msgs := make([][]byte, len(sizes))
	for i, n := range sizes {
		msgs[i] = bytes.Repeat([]byte{byte(i + 1)}, n)
	}
	return msgs
}

func repeated(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// What is written as a batch arrives message by message, in its order, on every family and both ways,
// however the system cuts and joins it.
func TestBatch(t *testing.T) {
	batches := map[string][][]byte{
		"one":               numbered(10),
		"empty ones":        numbered(0, 5, 0, 0, 5),
		"all alike":         numbered(repeated(64, 100)...),
		"the last shorter":  numbered(100, 100, 100, 7, 100, 100, 7, 7, 7),
		"growing":           numbered(1, 2, 3, 4, 5, 6, 7, 8),
		"more than one run": numbered(repeated(150, 8)...),
		"long":              numbered(20000, 20000, 20000, 20000, 20000),
		"longest":           numbered(60000, 60000, 1),
	}
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for name, msgs := range batches {
			for _, way := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
				sent := make(chan error, 1)
				go func() {
					n, err := tincan.WriteBatch(ctx, way.from, msgs)
					if err == nil && n != len(msgs) {
						err = fmt.Errorf("%d of %d were written", n, len(msgs))
					}
					sent <- err
				}()
				var b tincan.Batch
				var got [][]byte
				for len(got) < len(msgs) {
					if err := tincan.ReadBatch(ctx, way.to, &b, 0); err != nil {
						t.Fatalf("%s: after %d messages: %v", name, len(got), err)
					}
					if len(b.Messages()) == 0 || b.Lost() != 0 {
						t.Fatalf("%s: %d messages, %d lost", name, len(b.Messages()), b.Lost())
					}
					for _, m := range b.Messages() {
						got = append(got, bytes.Clone(m))
					}
				}
				b.Release()
				if err := <-sent; err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for i := range msgs {
					if !bytes.Equal(got[i], msgs[i]) {
						t.Fatalf("%s: message %d has %d bytes, want %d, or others", name, i, len(got[i]), len(msgs[i]))
					}
				}
			}
		}
	})
}

// A message that can't be sent stops the batch there, and the rest can go on behind it.
func TestBatchTooLong(t *testing.T) {
	l, err := tincan.ListenMessage(t.Context(), "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, server := messagePair(t, l)
	for _, way := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
		n, err := tincan.WriteBatch(t.Context(), way.from, numbered(1, 2, 65508, 4))
		if n != 2 || !errors.Is(err, tincan.ErrMessageTooLong) {
			t.Errorf("%d were written, then %v", n, err)
		}
		for want := 1; want <= 2; want++ {
			if n, err := way.to.ReadMessage(t.Context(), make([]byte, 10)); n != want || err != nil {
				t.Errorf("got %d bytes, %v; want %d", n, err, want)
			}
		}
	}
}

// A message over the reader's limit is lost alone.
func TestBatchLimit(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		if _, err := tincan.WriteBatch(t.Context(), client, numbered(10, 101, 100)); err != nil {
			t.Fatal(err)
		}
		var b tincan.Batch
		defer b.Release()
		var sizes []int
		for lost := 0; len(sizes)+lost < 3; lost += b.Lost() {
			if err := tincan.ReadBatch(t.Context(), server, &b, 100); err != nil {
				t.Fatal(err)
			}
			for _, m := range b.Messages() {
				sizes = append(sizes, len(m))
			}
		}
		if fmt.Sprint(sizes) != "[10 100]" {
			t.Errorf("got messages of %v bytes", sizes)
		}
	})
}

func TestReadBatchEnds(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, c := range []tincan.MessageConn{client, server} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Millisecond, cancel)
			var b tincan.Batch
			if err := tincan.ReadBatch(ctx, c, &b, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
	})
}

func TestNextSize(t *testing.T) {
	eachMessageEndpoint(t, func(t *testing.T, l tincan.MessageListener) {
		client, server := messagePair(t, l)
		for _, way := range []struct{ from, to tincan.MessageConn }{{client, server}, {server, client}} {
			for _, size := range []int{700, 0, 1} {
				if err := way.from.WriteMessage(t.Context(), make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				for range 2 { // it consumes nothing
					n, err := tincan.NextSize(t.Context(), way.to)
					if n < size || err != nil {
						t.Errorf("a message of %d bytes: %d, %v", size, n, err)
					}
				}
				if n, err := way.to.ReadMessage(t.Context(), make([]byte, 700)); n != size || err != nil {
					t.Errorf("read %d bytes, %v; want %d", n, err, size)
				}
			}
		}
	})
}

// A wrapper that counts keeps its count, and is no obstacle.
func TestBatchCounted(t *testing.T) {
	l, err := tincan.ListenMessage(t.Context(), "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, server := messagePair(t, l)
	from, to := &counting{MessageConn: client}, &counting{MessageConn: server}
	if n, err := tincan.WriteBatch(t.Context(), from, numbered(10, 0, 20)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	var b tincan.Batch
	defer b.Release()
	for got := 0; got < 3; got += len(b.Messages()) {
		if err := tincan.ReadBatch(t.Context(), to, &b, 0); err != nil {
			t.Fatal(err)
		}
	}
	if from.sent != 30 || to.received != 30 || from.received+to.sent != 0 {
		t.Errorf("counted %+v and %+v", from, to)
	}
}

type counting struct {
	tincan.MessageConn
	received, sent int64
}

func (c *counting) Unwrap() tincan.Conn { return c.MessageConn }

func (c *counting) Passed(received, sent int64) {
	c.received += received
	c.sent += sent
}

func (*counting) ReadMessage(context.Context, []byte) (int, error) { panic("read one by one") }

func (*counting) WriteMessage(context.Context, []byte) error { panic("written one by one") }
