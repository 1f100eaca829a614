package service_test

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// A handler of one's own, hosted until ctx ends.
func ExampleServer_Serve() {
	ctx, stop := context.WithCancel(context.Background())
	l, err := tincan.Listen(ctx, "tcp://127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	done := make(chan error)
	go func() {
		done <- (&service.Server{}).Serve(ctx, l, func(_ context.Context, conn net.Conn) error {
			_, err := io.WriteString(conn, "good day")
			return err
		})
	}()
	conn, err := tincan.Dial(ctx, l.Addr().String())
	if err != nil {
		panic(err)
	}
	greeting, err := io.ReadAll(conn)
	fmt.Println(string(greeting), err)
	_ = conn.Close()
	stop()
	fmt.Println(<-done)
	// Output:
	// good day <nil>
	// <nil>
}

// The calculator, asked over UDP.
func ExampleCalc() {
	ctx, stop := context.WithCancel(context.Background())
	l, err := tincan.ListenMessage(ctx, "udp://127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	calc, _ := service.Lookup("calc")
	answer, err := calc.Message(tincan.Options{})
	if err != nil {
		panic(err)
	}
	done := make(chan error)
	go func() { done <- (&service.Server{Inline: true}).ServeMessages(ctx, l, answer) }()

	conn, err := tincan.DialMessage(ctx, l.Addr().String())
	if err != nil {
		panic(err)
	}
	fmt.Println(service.Calc(ctx, conn, service.CalcRequest{Op: service.CalcProduct, Ints: []uint32{1, 3, 5, 7, 9}}, nil))
	_ = conn.Close()
	stop()
	fmt.Println(<-done)
	// Output:
	// 945 <nil>
	// <nil>
}
