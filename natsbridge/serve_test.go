package natsbridge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/natstest"
	"github.com/tincan-ipc/tincan/natsbridge"
	"github.com/tincan-ipc/tincan/service"
)

// patience bounds every wait of a test.
const patience = 60 * time.Second

// start serves h and gives what ends that and waits for it.
func start(t *testing.T, nc *nats.Conn, subject string, h service.MessageHandler, o *natsbridge.ServeOptions) (stop func() error) {
	t.Helper()
	if o == nil {
		o = &natsbridge.ServeOptions{}
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	o.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- natsbridge.Serve(ctx, nc, subject, h, o) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	done := false
	stop = func() error {
		cancel()
		if done {
			return nil
		}
		done = true
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func echo(_ context.Context, request []byte) ([]byte, error) { return request, nil }

func TestServe(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	for _, o := range []natsbridge.ServeOptions{{}, {Handlers: 1}, {Handlers: 3, Queue: "other"}} {
		stop := start(t, nc, "echo", echo, &o)
		for _, text := range []string{"hello", "", string(bytes.Repeat([]byte{7}, 1<<19))} {
			reply, err := natsbridge.Request(t.Context(), nc, "echo", []byte(text), nil)
			if err != nil || string(reply) != text {
				t.Fatalf("the echo of %d bytes has %d: %v", len(text), len(reply), err)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := natsbridge.Request(t.Context(), nc, "echo", nil, nil); !errors.Is(err, syscall.ECONNREFUSED) || tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("a request that nobody serves: %v", err)
	}
}

func TestServeFailures(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	told := make(chan error, 10)
	start(t, nc, "fails", func(_ context.Context, request []byte) ([]byte, error) {
		switch string(request) {
		case "panic":
			panic("secret")
		case "exit":
			runtime.Goexit()
		case "large":
			return make([]byte, 2<<20), nil
		}
		return nil, errors.New("no\r\nsuch thing")
	}, &natsbridge.ServeOptions{OnError: func(err error) { told <- err }})
	for request, want := range map[string]string{"": "no such thing", "panic": "the handler panicked", "exit": "the handler panicked", "large": ""} {
		_, err := natsbridge.Request(t.Context(), nc, "fails", []byte(request), nil)
		var remote *natsbridge.RemoteError
		if !errors.As(err, &remote) || want != "" && remote.Reason != want {
			t.Errorf("%q: %v, want %q", request, err, want)
		}
		if err := <-told; err == nil {
			t.Errorf("%q: OnError wasn't told", request)
		}
	}
	if _, err := natsbridge.Request(t.Context(), nc, "fails", make([]byte, 2<<20), nil); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("a request of 2 MiB: %v", err)
	}
	if !nc.IsConnected() {
		t.Error("the request of 2 MiB was sent")
	}
}

// TestRequestDeadline: who asks is told at the deadline, and the handler's context has ended by then.
func TestRequestDeadline(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	ended := make(chan error, 1)
	start(t, nc, "slow", func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}, nil)
	_, err := natsbridge.Request(t.Context(), nc, "slow", nil, &natsbridge.RequestOptions{Timeout: 100 * time.Millisecond})
	var remote *natsbridge.RemoteError // either may be the first
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.As(err, &remote) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the handler's context: %v", err)
	}
}

// TestRequestTellsDeadline: the deadline goes with a request where one was asked for, and only then.
func TestRequestTellsDeadline(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	told := make(chan string, 1)
	if _, err := nc.Subscribe("told", func(m *nats.Msg) {
		told <- m.Header.Get("Tincan-Timeout")
		_ = m.Respond(nil)
	}); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	timeout := &natsbridge.RequestOptions{Timeout: patience}
	for _, c := range []struct {
		name string
		ctx  context.Context
		o    *natsbridge.RequestOptions
		tell bool
	}{
		{"nothing", context.Background(), nil, false},
		{"a context that may end", t.Context(), nil, false},
		{"Timeout", context.Background(), timeout, true},
		{"Timeout, a context that may end", t.Context(), timeout, true},
		{"a deadline", limited, nil, true},
		{"idempotent", context.Background(), &natsbridge.RequestOptions{Idempotent: true}, true},
	} {
		if _, err := natsbridge.Request(c.ctx, nc, "told", nil, c.o); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text := <-told
		if ms, err := strconv.Atoi(text); c.tell && (err != nil || ms < 1 || ms > int(patience.Milliseconds())) || !c.tell && text != "" {
			t.Errorf("%s: the header is %q", c.name, text)
		}
	}
	if _, err := nc.SubscribeSync("silent"); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{context.Background(), t.Context()} {
		_, err := natsbridge.Request(ctx, nc, "silent", nil, &natsbridge.RequestOptions{Timeout: 20 * time.Millisecond})
		if !errors.Is(err, os.ErrDeadlineExceeded) || tincan.KindOf(err) != tincan.KindTimeout {
			t.Errorf("without a reply: %v", err)
		}
	}
}

// TestServeDrain: what is under way when ctx ends is answered, and what outlives the drain has its context ended.
func TestServeDrain(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	began, finish := make(chan struct{}), make(chan struct{})
	stop := start(t, nc, "drain", func(_ context.Context, request []byte) ([]byte, error) {
		close(began)
		<-finish
		return request, nil
	}, nil)
	replied := make(chan error, 1)
	go func() {
		_, err := natsbridge.Request(t.Context(), nc, "drain", []byte("x"), nil)
		replied <- err
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	waitUntil(t, "the subject is served no more", func() bool {
		_, err := natsbridge.Request(t.Context(), nc, "drain", []byte("y"), &natsbridge.RequestOptions{Timeout: time.Second})
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	close(finish)
	if err := <-replied; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	stop = start(t, nc, "late", func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }, &natsbridge.ServeOptions{Drain: -1})
	if err := nc.PublishRequest("late", nats.NewInbox(), nil); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	waitFor(t, patience, what, done)
}

func waitFor(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(2 * time.Millisecond) { // a server elsewhere can only be asked again
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestRequestIdempotent: it waits for a server that isn't there yet.
func TestRequestIdempotent(t *testing.T) {
	nc := natstest.Start(t, 1, "").Connect(t)
	replied := make(chan error, 1)
	go func() {
		_, err := natsbridge.Request(t.Context(), nc, "later", []byte("x"), &natsbridge.RequestOptions{Timeout: patience, Idempotent: true})
		replied <- err
	}()
	stop := start(t, nc, "later", echo, nil)
	if err := <-replied; err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	_, err := natsbridge.Request(t.Context(), nc, "later", nil, &natsbridge.RequestOptions{Timeout: 200 * time.Millisecond, Idempotent: true})
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nobody until the deadline: %v", err)
	}
}

func endpoint(t testing.TB, url string) *natsbridge.Endpoint {
	t.Helper()
	e, err := natsbridge.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestDial: the calculator's client asks over NATS as over any message connection, and a late reply is left out.
func TestDial(t *testing.T) {
	c := natstest.Start(t, 1, "")
	e := endpoint(t, c.URL("calc", ""))
	conn, err := natsbridge.Dial(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func() (string, error) {
		return service.Calc(t.Context(), conn, service.CalcRequest{Ints: []uint32{1, 2, 3}}, nil)
	}
	if _, err := ask(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("with nobody there: %v", err)
	}
	nc := c.Connect(t)
	calc, _ := service.Lookup("calc")
	h, err := calc.Message(tincan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start(t, nc, "calc", h, nil)
	if sum, err := ask(); err != nil || sum != "6" {
		t.Errorf("1 + 2 + 3 = %s, %v", sum, err)
	}

	requests := make(chan *nats.Msg, 2)
	if _, err := nc.ChanSubscribe("slow", requests); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	slow, err := natsbridge.Dial(t.Context(), endpoint(t, c.URL("slow", "")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"first", "second"} {
		if err := slow.WriteMessage(t.Context(), []byte(q)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		m := <-requests
		if err := m.Respond(m.Data); err != nil {
			t.Fatal(err)
		}
	}
	var buf [16]byte
	if n, err := slow.ReadMessage(t.Context(), buf[:]); err != nil || string(buf[:n]) != "second" {
		t.Errorf("the reply is %q, %v", buf[:n], err)
	}
	if err := slow.WriteMessage(t.Context(), make([]byte, 2<<20)); !errors.Is(err, tincan.ErrMessageTooLong) {
		t.Errorf("2 MiB: %v", err)
	}
	if err := slow.WriteMessage(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := (<-requests).Respond(make([]byte, 17)); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.ReadMessage(t.Context(), buf[:]); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("17 bytes into 16: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := slow.ReadMessage(context.Background(), buf[:])
		ended <- err
	}()
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read from a closed connection: %v", err)
	}
}
