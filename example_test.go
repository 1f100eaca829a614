package tincan_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
)

// shout answers what a client sends, once it has sent everything, in order.
func shout(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintf(c, "%s!", b)
}

func ExampleDial() {
	ctx := context.Background()
	l, err := tincan.Listen(ctx, "tcp://127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go shout(l)

	c, err := tincan.Dial(ctx, l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	if err := tincan.CloseWrite(c); err != nil {
		fmt.Println(err)
		return
	}
	reply, err := io.ReadAll(c)
	fmt.Println(string(reply), err)
	// Output: hello! <nil>
}

func ExampleListen() {
	// Only this user's processes may connect, and no more than 100 of them.
	l, err := tincan.Listen(context.Background(), "unix:@tincan-example?max-conns=100")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	fmt.Println("listening on", l.Addr())
	// Output: listening on unix:@tincan-example
}

func ExampleDialer() {
	d := tincan.Dialer{
		Timeout: 5 * time.Second,
		Config:  tincan.Config{Options: tincan.Options{KeepAlive: 30 * time.Second}},
	}
	_, err := d.Dial(context.Background(), "unix:/nonexistent/app.sock")
	switch tincan.KindOf(err) {
	case tincan.KindConnect:
		fmt.Println("nobody is there")
	case tincan.KindTimeout:
		fmt.Println("too slow")
	}
	// Output: nobody is there
}

// A half-close tells the peer that the request is complete; the reply comes
// after it, however long it takes.
func ExampleCloseWrite() {
	ctx := context.Background()
	l, err := tincan.Listen(ctx, "mem:half-close")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go shout(l)

	c, err := tincan.Dial(ctx, "mem:half-close")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "are you there")
	_ = tincan.CloseWrite(c)
	reply, _ := io.ReadAll(c)
	fmt.Println(string(reply))
	// Output: are you there!
}

func ExampleListenMessage() {
	ctx := context.Background()
	l, err := tincan.ListenMessage(ctx, "udp://127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		peer, err := l.Accept(ctx) // one connection for each peer
		if err != nil {
			return
		}
		buf := make([]byte, 1500)
		n, err := peer.ReadMessage(ctx, buf)
		if err != nil {
			return
		}
		_ = peer.WriteMessage(ctx, append([]byte("you said "), buf[:n]...))
	}()

	c, err := tincan.DialMessage(ctx, l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if err := c.WriteMessage(ctx, []byte("ping")); err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 1500)
	n, err := c.ReadMessage(ctx, buf)
	fmt.Printf("%s %v\n", buf[:n], err)
	// Output: you said ping <nil>
}

func ExampleParseEndpoint() {
	_, err := tincan.ParseEndpoint("tcp://localhost:80?keepalive=30s")
	fmt.Println(err)
	// Output: endpoint "tcp://localhost:80?keepalive=30s": unknown option "keepalive"
}
