package relay

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// TestHeaderSplices: what comes behind a header goes through the kernel, and the header never does, read or not before.
func TestHeaderSplices(t *testing.T) {
	for name, before := range map[string]bool{"read before": true, "read by the relay": false} {
		t.Run(name, func(t *testing.T) {
			a, first := tcpPair(t)
			second, b := tcpPair(t)
			first = (&AcceptHeader{}).Conn(first, nil)
			const size = 64 << 20
			go func() {
				_, _ = io.WriteString(a, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
				piece := make([]byte, 1<<20)
				for range size / len(piece) {
					_, _ = a.Write(piece)
				}
				_ = tincan.CloseWrite(a)
			}()
			if before {
				if err := tincan.Handshake(t.Context(), first); err != nil {
					t.Fatal(err)
				}
			}
			was := spliced.Load()
			done := make(chan error, 1)
			go func() {
				r, err := Streams(context.Background(), first, second, nil)
				if r.Forward != size {
					t.Errorf("relayed %d bytes, want %d", r.Forward, size)
				}
				done <- err
			}()
			n, err := io.Copy(io.Discard, b)
			if err != nil || n != size {
				t.Errorf("got %d bytes, %v; want %d", n, err, size)
			}
			_ = tincan.CloseWrite(b)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := spliced.Load() - was; got < size/2 {
				t.Errorf("%d bytes of %d were spliced", got, size)
			}
		})
	}
}

func tcpPair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close(); _ = accepted.Close() })
	return dialled, accepted
}
