package tincan_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A reset must be left to the read: were it taken off the socket, the read would see an orderly end.
func TestWaitReadableLeavesReset(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, server := connect(t, l)
	if err := tincan.Abort(server); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tincan.WaitReadable(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("read after the wait: %v, want a reset", err)
	}
}

func TestWaitReadableEnds(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		do   func(net.Conn) error
		want error
	}{
		{"canceled before", canceled, nil, context.Canceled},
		{"ctx ends", soon, nil, context.DeadlineExceeded},
		{"read deadline", context.Background(), func(c net.Conn) error { return c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"closed", context.Background(), net.Conn.Close, net.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			client, server := connect(t, l)
			if tt.do != nil {
				if err := tt.do(client); err != nil {
					t.Fatal(err)
				}
			}
			err = tincan.WaitReadable(tt.ctx, client)
			var opErr *net.OpError
			if !errors.Is(err, tt.want) || !errors.As(err, &opErr) {
				t.Fatalf("got %v, want an OpError of %v", err, tt.want)
			}
			if tt.ctx.Err() == nil {
				return
			}
			// A wait that ctx ended leaves the connection as it was.
			if _, err := io.WriteString(server, "x"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
				t.Errorf("read after the wait: %v", err)
			}
		})
	}
}

func TestWaitReadableEmptyDatagram(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, want := range []string{"", "b"} {
		if _, err := io.WriteString(client, want); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"", "b"} {
		for range 2 {
			if err := tincan.WaitReadable(t.Context(), server); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 10)
		n, err := server.Read(buf)
		if string(buf[:n]) != want || err != nil {
			t.Errorf("got %q, %v, want %q", buf[:n], err, want)
		}
	}
}

func TestWaitReadableUnsupported(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := tincan.WaitReadable(t.Context(), a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}
