package pattern_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tincan-ipc/tincan/pattern"
)

func Example() {
	ctx := context.Background()
	pull := pattern.NewPull(nil)
	defer pull.Close()
	addr, err := pull.Listen(ctx, "tcp://127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	push := pattern.NewPush(nil)
	defer push.Close()
	if err := push.Dial(addr.String()); err != nil {
		fmt.Println(err)
		return
	}
	// Send waits for the peer, and Recv for the message.
	if err := push.Send(ctx, []byte("a message"), []byte("of two parts")); err != nil {
		fmt.Println(err)
		return
	}
	parts, err := pull.Recv(ctx)
	fmt.Printf("%q %v\n", parts, err)
	// Output: ["a message" "of two parts"] <nil>
}

func ExampleServer() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := pattern.NewServer(&pattern.Options{Linger: -1})
	defer server.Close()
	if _, err := server.Listen(ctx, "mem:shout"); err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() {
		served <- server.Serve(ctx, func(_ context.Context, request []byte) ([]byte, error) {
			return bytes.ToUpper(request), nil
		})
	}()
	client := pattern.NewClient(nil)
	defer client.Close()
	if err := client.Dial("mem:shout"); err != nil {
		fmt.Println(err)
		return
	}
	reply, err := client.Request(ctx, []byte("hello"))
	fmt.Printf("%s %v\n", reply[0], err)
	cancel()
	fmt.Println(<-served)
	// Output:
	// HELLO <nil>
	// receive router: context canceled
}

func ExampleRouter() {
	ctx := context.Background()
	router := pattern.NewRouter(nil)
	defer router.Close()
	if _, err := router.Listen(ctx, "mem:router"); err != nil {
		fmt.Println(err)
		return
	}
	worker := pattern.NewDealer(&pattern.Options{Identity: []byte("worker 7")})
	defer worker.Close()
	if err := worker.Dial("mem:router"); err != nil {
		fmt.Println(err)
		return
	}
	if err := router.WaitPeers(ctx, 1); err != nil {
		fmt.Println(err)
		return
	}
	if err := router.Send(ctx, []byte("worker 7"), []byte("do this")); err != nil {
		fmt.Println(err)
		return
	}
	parts, err := worker.Recv(ctx)
	fmt.Printf("%q %v\n", parts, err)
	fmt.Println(router.Send(ctx, []byte("worker 8"), []byte("do that")))
	// Output:
	// ["do this"] <nil>
	// send router: no such peer
}

func ExamplePull_Borrow() {
	ctx := context.Background()
	pull, push := pattern.NewPull(nil), pattern.NewPush(nil)
	defer pull.Close()
	defer push.Close()
	if _, err := pull.Listen(ctx, "mem:borrow"); err != nil {
		fmt.Println(err)
		return
	}
	if err := push.Dial("mem:borrow"); err != nil {
		fmt.Println(err)
		return
	}
	if err := push.Send(ctx, []byte("12"), []byte("345")); err != nil {
		fmt.Println(err)
		return
	}
	m, err := pull.Borrow(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	n := 0
	for _, part := range m.Parts {
		n += len(part)
	}
	m.Release() // the parts are not to be used from here on
	fmt.Println(n, "bytes")
	// Output: 5 bytes
}
