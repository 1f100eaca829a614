package ws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/tincan-ipc/tincan"
)

func TestMessagesKeepTheirBoundaries(t *testing.T) {
	for name, endpoint := range endpoints {
		for _, query := range []string{"", "?text"} {
			t.Run(name+query, func(t *testing.T) {
				client, server := messagePair(t, endpoint(t), query)
				sent := [][]byte{[]byte("a"), {}, []byte("b"), bytes.Repeat([]byte("x"), 300_000), {}}
				go func() {
					for _, m := range sent {
						if err := client.WriteMessage(context.Background(), m); err != nil {
							t.Errorf("WriteMessage: %v", err)
						}
					}
					if err := client.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}()
				buf := make([]byte, 300_000)
				for _, want := range sent {
					n, err := server.ReadMessage(ctx(t), buf)
					if err != nil || !bytes.Equal(buf[:n], want) {
						t.Errorf("ReadMessage = %d bytes, %v; want %d bytes", n, err, len(want))
					}
				}
				if _, err := server.ReadMessage(ctx(t), buf); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			})
		}
	}
}

func TestShortBuffer(t *testing.T) {
	client, server := messagePair(t, "ws://127.0.0.1:0", "")
	for _, m := range []string{"too long", "fits"} {
		if err := client.WriteMessage(ctx(t), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 4)
	if _, err := server.ReadMessage(ctx(t), buf); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("a message longer than the buffer: %v", err)
	}
	if n, err := server.ReadMessage(ctx(t), buf); string(buf[:n]) != "fits" || err != nil {
		t.Errorf("the next: %q, %v", buf[:n], err)
	}
}

func TestMaxMessage(t *testing.T) {
	const limit = 1000
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			client, server := messagePair(t, endpoint(t)+"?max-message=1000", "")
			if err := client.WriteMessage(ctx(t), make([]byte, limit)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 2*limit)
			if n, err := server.ReadMessage(ctx(t), buf); n != limit || err != nil {
				t.Errorf("a message of the limit's size: %d, %v", n, err)
			}
			// The server may have closed at the header, before the last byte is written.
			if err := client.WriteMessage(ctx(t), make([]byte, limit+1)); err != nil && tincan.KindOf(err) != tincan.KindReset {
				t.Fatal(err)
			}
			if _, err := server.ReadMessage(ctx(t), buf); !errors.Is(err, tincan.ErrMessageTooLong) {
				t.Errorf("a message over the limit: %v", err)
			}
			_, err := client.ReadMessage(ctx(t), buf)
			var frame websocket.CloseError
			if !errors.As(err, &frame) || frame.Code != websocket.StatusMessageTooBig ||
				!errors.Is(err, tincan.ErrMessageTooLong) || tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("its sender reads %v", err)
			}
			if err := server.WriteMessage(ctx(t), make([]byte, limit+1)); !errors.Is(err, tincan.ErrMessageTooLong) {
				t.Errorf("sending over the own limit: %v", err)
			}
		})
	}
}

func TestContextEndsReadAndLosesNothing(t *testing.T) {
	client, server := messagePair(t, "ws://127.0.0.1:0", "")
	buf := make([]byte, 10)
	for i := range 50 {
		short, cancel := context.WithTimeout(t.Context(), time.Duration(i%5)*100*time.Microsecond)
		go func() {
			if err := client.WriteMessage(context.Background(), []byte{byte(i)}); err != nil {
				t.Errorf("WriteMessage: %v", err)
			}
		}()
		n, err := server.ReadMessage(short, buf)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			n, err = server.ReadMessage(ctx(t), buf)
		}
		if n != 1 || err != nil || buf[0] != byte(i) {
			t.Fatalf("message %d: got %v, %v", i, buf[:n], err)
		}
	}
}

func TestContextEndsWrite(t *testing.T) {
	msg := bytes.Repeat([]byte("m"), 8<<20)
	for patience := time.Millisecond; ; patience *= 2 {
		client, server := messagePair(t, "ws://127.0.0.1:0?recv-buffer=64KiB", "?send-buffer=64KiB")
		short, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var opErr *net.OpError
		if err := client.WriteMessage(short, msg); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &opErr) {
			t.Fatalf("WriteMessage that nobody reads: %v", err)
		}
		go func() {
			if err := client.WriteMessage(ctx(t), []byte("next")); err != nil {
				t.Errorf("WriteMessage: %v", err)
			}
		}()
		buf := make([]byte, len(msg))
		n, err := server.ReadMessage(ctx(t), buf)
		if string(buf[:n]) == "next" {
			continue // this machine was too busy for the message to begin
		}
		if n != len(msg) || err != nil {
			t.Errorf("the message that was cut off by ctx: %d bytes, %v", n, err)
		}
		if n, err := server.ReadMessage(ctx(t), buf); string(buf[:n]) != "next" || err != nil {
			t.Errorf("the next: %q, %v", buf[:n], err)
		}
		return
	}
}

func TestMessageListenerAccept(t *testing.T) {
	l := listenMessage(t, "ws://127.0.0.1:0")
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Accept(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Accept with nobody there: %v", err)
	}
	errs := make(chan error)
	go func() { _, err := l.Accept(context.Background()); errs <- err }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// A peer that pings and reads nothing must neither stop our reading nor be ended for it.
func TestPeerThatPingsAndReadsNothing(t *testing.T) {
	l := listenMessage(t, "ws://127.0.0.1:0?recv-buffer=64KiB&send-buffer=64KiB")
	raw := dialRaw(t, l.Addr())
	raw.upgrade("/")
	server, err := l.Accept(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	written := make(chan error, 1)
	go func() { written <- server.WriteMessage(context.Background(), make([]byte, 8<<20)) }()
	raw.response()
	if b, err := raw.r.Peek(1); err != nil || b[0] != 0x82 { // the message is on its way, and stuck
		t.Fatalf("the message begins with %x, %v", b, err)
	}
	for range 20 {
		raw.frame(0x89, []byte("are you there"))
	}
	raw.frame(0x82, []byte("message"))
	buf := make([]byte, 100)
	if n, err := server.ReadMessage(ctx(t), buf); string(buf[:n]) != "message" || err != nil {
		t.Fatalf("ReadMessage = %q, %v", buf[:n], err)
	}
	// Now it reads: the message whole, then every pong.
	if op, body := raw.readFrame(); op != 0x82 || len(body) != 8<<20 {
		t.Errorf("frame %#x of %d bytes", op, len(body))
	}
	for range 20 {
		if op, body := raw.readFrame(); op != 0x8a || string(body) != "are you there" {
			t.Errorf("frame %#x of %d bytes, want a pong", op, len(body))
		}
	}
	if err := <-written; err != nil {
		t.Errorf("WriteMessage: %v", err)
	}
}

func TestPingFloodIsEnded(t *testing.T) {
	l := listenMessage(t, "ws://127.0.0.1:0?recv-buffer=64KiB&send-buffer=64KiB")
	raw := dialRaw(t, l.Addr())
	raw.upgrade("/")
	server, err := l.Accept(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() { _ = server.WriteMessage(context.Background(), make([]byte, 16<<20)) }()
	go func() { // until the connection ends
		ping := raw.mask(0x89, make([]byte, 125))
		for {
			if _, err := raw.Write(ping); err != nil {
				return
			}
		}
	}()
	if _, err := server.ReadMessage(ctx(t), make([]byte, 100)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ReadMessage: %v", err)
	}
}
