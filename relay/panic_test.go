package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

// A function that panics ends the pair it was called for, which the server is told of, and no other.
func TestForwarderPanic(t *testing.T) {
	const bad = 'b'
	tap := func(at relay.Direction) func(relay.Direction, []byte) {
		return func(d relay.Direction, p []byte) {
			if d == at && p[0] == bad {
				panic(net.ErrWriteToConnected) // any error, to be found again
			}
		}
	}
	for name, f := range map[string]*relay.Forwarder{
		"forward":  {Options: relay.Options{Tap: tap(relay.Forward)}},
		"backward": {Options: relay.Options{Tap: tap(relay.Backward)}},
	} {
		t.Run(name, func(t *testing.T) {
			f.Targets = []*tincan.Endpoint{parse(t, echoingStreams(t))}
			closed := make(chan error, 2)
			addr := serveStreams(t, &tincan.Trace{Closed: func(_ tincan.Conn, _, _ int64, err error) { closed <- err }}, f.Stream)
			visit := func() net.Conn {
				c, err := tincan.Dial(t.Context(), addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			}
			good, faulty := visit(), visit()
			if err := errors.Join(send(good, []byte("a")), receive(good, []byte("a")), send(faulty, []byte{bad})); err != nil {
				t.Fatal(err)
			}
			if _, err := faulty.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("the client saw %v, want a reset", err)
			}
			var panicked *relay.PanicError
			if err := <-closed; !errors.As(err, &panicked) || !errors.Is(err, net.ErrWriteToConnected) || len(panicked.Stack) == 0 {
				t.Errorf("the server was told %v, want the panic", err)
			}
			if err := errors.Join(send(good, []byte("a")), receive(good, []byte("a"))); err != nil {
				t.Errorf("the other client: %v", err)
			}
		})
	}
}

// A panic before the pair stands leaves neither connection open.
func TestForwarderPanicPreparing(t *testing.T) {
	f := &relay.Forwarder{
		Targets: []*tincan.Endpoint{parse(t, echoingStreams(t))},
		Prepare: func(tincan.Conn, tincan.Conn, *relay.Options) { panic("at fault") },
	}
	client, server := connect(t, "tcp")
	var panicked *relay.PanicError
	if err := f.Stream(t.Context(), server); !errors.As(err, &panicked) || panicked.Value != "at fault" {
		t.Errorf("got %v, want the panic", err)
	}
	if _, err := client.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("the client saw %v, want a reset", err)
	}
	if s := f.Stats(); s.Live != 0 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

// echoingStreams serves streams whose bytes come back.
func echoingStreams(t *testing.T) (url string) {
	t.Helper()
	return serveStreams(t, nil, func(_ context.Context, c net.Conn) error {
		_, err := io.Copy(c, c)
		return err
	})
}

// serveStreams serves streams until the test ends.
func serveStreams(t *testing.T, trace *tincan.Trace, h service.StreamHandler) (url string) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- (&service.Server{Drain: -1, Trace: trace}).Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
