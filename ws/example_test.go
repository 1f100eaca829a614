package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/ws"
)

// A server and a client on one machine: the scheme is added to each side's configuration.
func Example() {
	ctx := context.Background()

	var lc tincan.ListenConfig
	ws.AddTo(&lc.Config)
	l, err := lc.Listen(ctx, "ws://127.0.0.1:0/echo")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()

	var d tincan.Dialer
	ws.AddTo(&d.Config)
	c, err := d.Dial(ctx, l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	reply := make([]byte, 5)
	if _, err := io.ReadFull(c, reply); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(reply))
	// Output: hello
}

// Messages go to a path that is wrong: the error says how the server answered.
func ExampleStatusError() {
	ctx := context.Background()
	var lc tincan.ListenConfig
	ws.AddTo(&lc.Config)
	l, err := lc.ListenMessage(ctx, "ws://127.0.0.1:0/right")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(ctx); err == nil {
			_ = tincan.Handshake(ctx, c) // tells the same on this side
			_ = c.Close()
		}
	}()

	wrong := *l.Addr().(*tincan.Endpoint)
	wrong.Resource = "/wrong"
	var d tincan.Dialer
	ws.AddTo(&d.Config)
	_, err = d.DialMessageEndpoint(ctx, &wrong)
	if status, ok := errors.AsType[*ws.StatusError](err); ok {
		fmt.Println(status)
	}
	// Output: answered by HTTP status 404 Not Found: there is no endpoint at this path
}
