package pattern_test

import (
	"context"
	"fmt"

	"github.com/tincan-ipc/tincan/pattern"
)

// A publisher, and a subscriber to some of what it has.
func ExamplePub() {
	ctx := context.Background()
	pub := pattern.NewPub(nil)
	defer pub.Close()
	addr, err := pub.Listen(ctx, "mem:prices")
	if err != nil {
		fmt.Println(err)
		return
	}

	sub := pattern.NewSub(nil)
	defer sub.Close()
	_ = sub.Subscribe("fruit.")
	_ = sub.Dial(addr.String())

	_ = pub.WaitSubscribers(ctx, 1) // what is published before a subscription comes in is not for it
	_ = pub.Send(ctx, []byte("tools.hammer"), []byte("12"))
	_ = pub.Send(ctx, []byte("fruit.apple"), []byte("3"))

	m, err := sub.Recv(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s costs %s\n", m[0], m[1])
	// Output: fruit.apple costs 3
}

// A newcomer gets the current value first, then the changes.
func ExampleOptions_onSubscribe() {
	ctx := context.Background()
	pub := pattern.NewPub(&pattern.Options{
		OnSubscribe: func(topic string, send func(parts ...[]byte) error) {
			_ = send([]byte(topic), []byte("20 degrees"))
		},
	})
	defer pub.Close()
	addr, err := pub.Listen(ctx, "mem:weather")
	if err != nil {
		fmt.Println(err)
		return
	}

	sub := pattern.NewSub(nil)
	defer sub.Close()
	_ = sub.Subscribe("temperature")
	_ = sub.Dial(addr.String())

	_ = pub.WaitSubscribers(ctx, 1)
	_ = pub.Send(ctx, []byte("temperature"), []byte("21 degrees"))
	for range 2 {
		m, err := sub.Recv(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", m[1])
	}
	// Output:
	// 20 degrees
	// 21 degrees
}

// A forwarder: publishers and subscribers know it alone, and not each other.
func ExampleProxy() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	front, back := pattern.NewXSub(nil), pattern.NewXPub(nil)
	defer front.Close()
	defer back.Close()
	in, err := front.Listen(ctx, "mem:publishers")
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := back.Listen(ctx, "mem:subscribers")
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- pattern.Proxy(ctx, front, back, nil) }()

	sub, pub := pattern.NewSub(nil), pattern.NewPub(nil)
	defer sub.Close()
	defer pub.Close()
	_ = sub.Subscribe("news")
	_ = sub.Dial(out.String())
	_ = pub.Dial(in.String())

	_ = pub.WaitSubscribers(ctx, 1) // it has come all the way up
	_ = pub.Send(ctx, []byte("news"), []byte("of the day"))
	m, err := sub.Recv(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s\n", m[0], m[1])
	cancel()
	fmt.Println(<-ended)
	// Output:
	// news of the day
	// context canceled
}
