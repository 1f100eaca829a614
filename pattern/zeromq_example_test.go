package pattern_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// The functions here are those that docs/coming-from-zeromq.md and the README show; a test compares them.

func push(ctx context.Context, endpoint string) error {
	s := pattern.NewPush(&pattern.Options{Linger: 5 * time.Second})
	defer s.Close()
	if err := s.Dial(endpoint); err != nil {
		return err
	}
	if err := s.Send(ctx, []byte("resize"), []byte("42.png")); err != nil {
		return err
	}
	return s.Close() // a *DiscardError says how many were left after 5 s
}

func pull(ctx context.Context, endpoint string, out io.Writer) error {
	s := pattern.NewPull(nil)
	defer s.Close()
	if _, err := s.Listen(ctx, endpoint); err != nil {
		return err
	}
	parts, err := s.Recv(ctx)
	for _, part := range parts {
		fmt.Fprintf(out, "%s\n", part)
	}
	return err
}

// Work is pushed to one of those who pull.
func ExamplePush() {
	ctx := context.Background()
	pushed := make(chan error)
	go func() { pushed <- push(ctx, "mem:work") }() // it may come first
	if err := pull(ctx, "mem:work", os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-pushed)
	// Output:
	// resize
	// 42.png
	// <nil>
}

func answer(ctx context.Context, endpoint string) error {
	s := pattern.NewRep(&pattern.Options{Linger: time.Second})
	defer s.Close()
	if _, err := s.Listen(ctx, endpoint); err != nil {
		return err
	}
	return s.Serve(ctx, func(_ context.Context, request []byte) ([]byte, error) {
		return bytes.ToUpper(request), nil
	})
}

func ask(ctx context.Context, endpoint string) (reply [][]byte, err error) {
	s := pattern.NewReq(nil)
	defer s.Close()
	if err := s.Dial(endpoint); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.Request(ctx, []byte("hello"))
}

// A request and its reply.
func ExampleReq() {
	ctx, cancel := context.WithCancel(context.Background())
	answered := make(chan error)
	go func() { answered <- answer(ctx, "mem:answers") }()
	reply, err := ask(ctx, "mem:answers")
	fmt.Printf("%s %v\n", reply, err)
	cancel()
	fmt.Println(errors.Is(<-answered, context.Canceled))
	// Output:
	// [HELLO] <nil>
	// true
}

func announce(ctx context.Context, endpoint string) error {
	s := pattern.NewPub(&pattern.Options{Linger: 5 * time.Second})
	defer s.Close()
	if _, err := s.Listen(ctx, endpoint); err != nil {
		return err
	}
	if err := s.WaitSubscribers(ctx, 1); err != nil {
		return err
	}
	if err := s.Send(ctx, []byte("weather"), []byte("sunny")); err != nil {
		return err
	}
	return s.Close()
}

func subscribe(ctx context.Context, endpoint string, out io.Writer) error {
	s := pattern.NewSub(nil)
	defer s.Close()
	if err := s.Subscribe("weather"); err != nil {
		return err
	}
	if err := s.Dial(endpoint); err != nil {
		return err
	}
	parts, err := s.Recv(ctx)
	for _, part := range parts {
		fmt.Fprintf(out, "%s\n", part)
	}
	return err
}

// A subscriber, and the publisher that waits for it.
func ExampleSub() {
	ctx := context.Background()
	announced := make(chan error)
	go func() { announced <- announce(ctx, "mem:news") }()
	if err := subscribe(ctx, "mem:news", os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-announced)
	// Output:
	// weather
	// sunny
	// <nil>
}

func queue(ctx context.Context, front, back string) error {
	clients, workers := pattern.NewRouter(nil), pattern.NewDealer(nil)
	defer clients.Close()
	defer workers.Close()
	if _, err := clients.Listen(ctx, front); err != nil {
		return err
	}
	if _, err := workers.Listen(ctx, back); err != nil {
		return err
	}
	return pattern.Proxy(ctx, clients, workers, nil)
}

// A queue before workers, of which there is one here.
func ExampleProxy_queue() {
	ctx, cancel := context.WithCancel(context.Background())
	queued := make(chan error)
	go func() { queued <- queue(ctx, "mem:clients", "mem:workers") }()

	worker := pattern.NewRep(nil)
	defer worker.Close()
	_ = worker.Dial("mem:workers")
	worked := make(chan error)
	go func() {
		worked <- worker.Serve(ctx, func(context.Context, []byte) ([]byte, error) { return []byte("done"), nil })
	}()
	reply, err := ask(ctx, "mem:clients")
	fmt.Printf("%s %v\n", reply, err)
	cancel()
	fmt.Println(errors.Is(<-worked, context.Canceled), errors.Is(<-queued, context.Canceled))
	// Output:
	// [done] <nil>
	// true true
}

func askSecurely(ctx context.Context, endpoint, serverKey string) (reply [][]byte, err error) {
	key, err := zmtp.DecodeKey(serverKey) // 40 characters, as zmq_curve_keypair makes them
	if err != nil {
		return nil, err
	}
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		return nil, err
	}
	s := pattern.NewReq(&pattern.Options{Security: zmtp.CurveClient{ServerKey: key, PublicKey: public, SecretKey: secret}})
	defer s.Close()
	if err := s.Dial(endpoint); err != nil {
		return nil, err
	}
	return s.Request(ctx, []byte("hello"))
}

// The server's key lets a client know that it is the server.
func ExampleOptions_curve() {
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	server := pattern.NewRep(&pattern.Options{Security: zmtp.CurveServer{SecretKey: secret}})
	defer server.Close()
	if _, err := server.Listen(ctx, "mem:secure"); err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		request, err := server.Recv(ctx)
		if err != nil {
			return
		}
		_ = request.Reply([]byte("you said "), request.Parts[0])
	}()
	reply, err := askSecurely(ctx, "mem:secure", zmtp.EncodeKey(public))
	fmt.Printf("%s %v\n", reply, err)
	// Output: [you said  hello] <nil>
}

func passwords(log func(format string, args ...any)) *pattern.Options {
	return &pattern.Options{
		Security: zmtp.PlainServer{Users: map[string]string{"alice": "secret"}},
		OnEvent: func(e pattern.Event) {
			if e.Kind == pattern.EventHandshakeFailed {
				log("%s: %v", e.Endpoint, e.Err)
			}
		},
	}
}

// PLAIN refuses who isn't known, and an event tells.
func ExampleOptions_plain() {
	ctx := context.Background()
	told := make(chan string, 1)
	server := pattern.NewPull(passwords(func(format string, args ...any) { told <- fmt.Sprintf(format, args...) }))
	defer server.Close()
	if _, err := server.Listen(ctx, "mem:private"); err != nil {
		fmt.Println(err)
		return
	}
	client := pattern.NewPush(&pattern.Options{Security: zmtp.PlainClient{User: "alice", Password: "guess"}})
	_ = client.Dial("mem:private")
	fmt.Println(<-told)
	client.Close()
	// Output: mem:private: access denied: "user name or password of alice"
}

func receiveAll(ctx context.Context, handle func(parts [][]byte), sockets ...pattern.Receiver) {
	var all sync.WaitGroup
	for _, s := range sockets {
		all.Go(func() {
			for {
				m, err := s.Borrow(ctx)
				if err != nil {
					return // ctx ended, or s was closed
				}
				handle(m.Parts) // may be called by several goroutines at the same time
				m.Release()
			}
		})
	}
	all.Wait()
}

// Several sockets are received from by a goroutine each.
func ExampleReceiver() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	work, news := pattern.NewPull(nil), pattern.NewSub(nil)
	defer work.Close()
	defer news.Close()
	if _, err := work.Listen(ctx, "mem:both"); err != nil {
		fmt.Println(err)
		return
	}
	if err := news.Subscribe("weather"); err != nil {
		fmt.Println(err)
		return
	}
	_ = news.Dial("mem:newspaper")

	done := make(chan error, 2)
	go func() { done <- push(ctx, "mem:both") }()
	go func() { done <- announce(ctx, "mem:newspaper") }()
	var mu sync.Mutex
	var came []string
	receiveAll(ctx, func(parts [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		if came = append(came, string(parts[0])); len(came) == 2 {
			cancel()
		}
	}, work, news)
	slices.Sort(came)
	fmt.Println(came, <-done, <-done)
	// Output: [resize weather] <nil> <nil>
}
