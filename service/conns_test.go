package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
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

// No more connections are accepted than there are slots, of all listeners together, and each gets its turn.
func TestServerSlots(t *testing.T) {
	s := &service.Server{Drain: -1, Slots: make(chan struct{}, 2)}
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	entered := make(chan net.Conn)
	var urls []string
	for range 2 {
		l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, l.Addr().String())
		served.Go(func() {
			err := s.Serve(ctx, l, func(_ context.Context, c net.Conn) error {
				entered <- c
				_, err := io.Copy(io.Discard, c)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	clients := map[string]net.Conn{}
	for i := range 6 {
		c, err := tincan.Dial(t.Context(), urls[i%2])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[c.LocalAddr().String()] = c
	}
	for range 3 {
		pair := []net.Conn{<-entered, <-entered}
		select {
		case c := <-entered:
			t.Fatalf("%v was served as the third", c.RemoteAddr())
		case <-time.After(20 * time.Millisecond):
		}
		for _, c := range pair {
			if err := clients[c.RemoteAddr().String()].Close(); err != nil {
				t.Error(err)
			}
		}
	}
	cancel()
	served.Wait()
}
