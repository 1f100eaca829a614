package service_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// TestMessageConns: a handler has each peer's connection to itself, and a drain ends those that stay.
func TestMessageConns(t *testing.T) {
	for _, endpoint := range messageEndpoints(t) {
		ctx, stop := context.WithCancel(t.Context())
		l, err := tincan.ListenMessage(ctx, endpoint)
		if err != nil {
			t.Fatal(err)
		}
		handled := make(chan error, 2)
		server := &service.Server{Drain: 10 * time.Millisecond}
		served := make(chan error, 1)
		go func() {
			served <- server.ServeMessageConns(ctx, l, func(ctx context.Context, conn tincan.MessageConn) error {
				buf := make([]byte, 100)
				for sent := 0; ; sent++ { // each peer's own count comes behind what it sent
					n, err := conn.ReadMessage(ctx, buf)
					if errors.Is(err, io.EOF) {
						err = nil
					}
					if err == nil && n > 0 {
						err = conn.WriteMessage(ctx, append(buf[:n], byte('0'+sent)))
					}
					if err != nil || n == 0 {
						handled <- err
						return err
					}
				}
			})
		}()
		a, b := dialMessage(t, l.Addr().String()), dialMessage(t, l.Addr().String())
		for i, want := range []string{"x0", "x1", "x2"} {
			for _, c := range []tincan.MessageConn{a, b} {
				buf := make([]byte, 10)
				if err := c.WriteMessage(t.Context(), []byte("x")); err != nil {
					t.Fatal(err)
				}
				if n, err := c.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != want {
					t.Fatalf("%s, message %d: %q, %v", endpoint, i, buf[:n], err)
				}
			}
		}
		stop()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
		for range 2 {
			if err := <-handled; err == nil {
				t.Errorf("%s: a connection that stayed outlived the drain in order", endpoint)
			}
		}
	}
}
