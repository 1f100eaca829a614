package pattern_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/zmtp"
)

// TestSlowStrangers has a thousand connections send a byte of a greeting each second. The deadline for handshakes
// ends them all, and those who do theirs properly are served at once meanwhile.
func TestSlowStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const strangers, deadline = 1000, 10 * time.Second
		server := pattern.NewServer(&pattern.Options{HandshakeTimeout: deadline})
		defer server.Close()
		addr, err := server.Listen(t.Context(), endpoint(t, "mem"))
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		defer serving.Wait()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		serving.Go(func() {
			_ = server.Serve(ctx, func(_ context.Context, request []byte) ([]byte, error) { return request, nil })
		})

		greeting := zmtp.AppendGreeting(nil, zmtp.Greeting{Major: 3, Minor: 1, Mechanism: "NULL"})
		began := time.Now()
		var ended sync.WaitGroup
		for range strangers {
			c := rawDial(t, addr)
			ended.Go(func() { drip(c, greeting) })
			ended.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				if took := time.Since(began); took > deadline+time.Second {
					t.Errorf("a stranger was there for %v", took)
				}
			})
		}
		time.Sleep(deadline / 2)
		client := pattern.NewClient(nil)
		defer client.Close()
		if err := client.Dial(addr.String()); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		if _, err := client.Request(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took > 0 {
			t.Errorf("a request took %v while strangers are slow", took)
		}
		ended.Wait()
		if got := server.Stats().HandshakesFailed; got != strangers {
			t.Errorf("%d handshakes failed, want %d", got, strangers)
		}
	})
}

// drip sends b, a byte a second, until c is closed.
func drip(c net.Conn, b []byte) {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}
