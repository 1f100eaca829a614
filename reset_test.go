package tincan_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// What was written before a Reset arrives, however slowly it is read, and the reset behind it.
func TestResetComesLast(t *testing.T) {
	for _, endpoint := range []string{"tcp://127.0.0.1:0?send-buffer=64KiB&recv-buffer=64KiB", "mem:reset"} {
		t.Run(endpoint, func(t *testing.T) {
			l, err := tincan.Listen(t.Context(), endpoint)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client, server := connect(t, l)
			const size = 48 << 10
			if _, err := server.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if err := tincan.Reset(t.Context(), server); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, client)
			if n != size || tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("the peer read %d bytes, then %v", n, err)
			}
			if _, err := server.Write([]byte("x")); err == nil {
				t.Error("it is still open")
			}
		})
	}
}

// A peer that takes nothing does not hold Reset up for long.
func TestResetStalled(t *testing.T) {
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0?recv-buffer=16KiB")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, _ := connect(t, l)
	_ = client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := client.Write(make([]byte, 16<<20)); err == nil {
		t.Fatal("16 MiB fit into the buffers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tincan.Reset(ctx, client); err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

func TestResetUnsupported(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()
	if err := tincan.Reset(t.Context(), a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}
