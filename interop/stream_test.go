//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func setDeadline(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes that have every value and repeat nowhere soon.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{'t', 'i', 'n'})
	_, _ = r.Read(b) // never fails
	return b
}

func plusOne(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i]++
	}
	return out
}

// TestEcho sends inputs of several sizes through every pair. Each client half-closes
// at its end of input and exits only when the server has ended too.
func TestEcho(t *testing.T) {
	inputs := []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"14 B", []byte("this is a test")},
		{"every byte", noise(4096)},
		{"1 MiB", noise(1 << 20)},
	}
	long := noise(64 << 20)
	quick := map[string]bool{"c": true, "tincan": true}
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			everyPair(t, "echo", family.free, func(t *testing.T, client, server party, at address) {
				for _, in := range inputs {
					t.Run(in.name, func(t *testing.T) {
						wantSame(t, run(t, in.data, client.stream(t, at)...), string(in.data))
					})
				}
				if quick[client.name] && quick[server.name] {
					t.Run("64 MiB", func(t *testing.T) {
						wantSame(t, run(t, long, client.stream(t, at)...), string(long))
					})
				}
			})
		})
	}
}

// TestEchoProducer runs the classic producer against every server.
func TestEchoProducer(t *testing.T) {
	const want = "Bytes Sent: 14\nBytes received: 14\nConnection closed\n"
	producer := filepath.Join(builtC(t), "echo_producer")
	for _, server := range parties {
		t.Run(server.name, func(t *testing.T) {
			at := server.serve(t, "echo", tcpAt("0"))
			wantSame(t, run(t, nil, producer, at.host, at.port), want)
		})
	}
}

// TestIncrement runs every classic client, of one byte, and sends every byte value
// through every stream client.
func TestIncrement(t *testing.T) {
	in := append(noise(1<<16), 0, 'A', 'Z', 127, 128, 254, 255)
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			everyPair(t, "increment", family.free, func(t *testing.T, client, _ party, at address) {
				t.Run("classic", func(t *testing.T) {
					got := run(t, []byte(client.incrementIn), client.increment(t, at)...)
					wantSame(t, got, client.incrementOut)
				})
				t.Run("every byte", func(t *testing.T) {
					wantSame(t, run(t, in, client.stream(t, at)...), string(plusOne(in)))
				})
			})
		})
	}
}

// TestServerSocket runs the classic pair as it is: both in one working folder, over the
// Unix socket server_socket there, which only a relative path names.
func TestServerSocket(t *testing.T) {
	programs := builtC(t)
	dir := filepath.Dir(socketPath(t))
	p := launch(t, dir, nil, []string{tincan(t), "serve", "increment", "unix:server_socket"})
	p.await(p.err, listening)
	for range 3 {
		c := launch(t, dir, bytes.NewReader(nil), []string{filepath.Join(programs, "increment_client")})
		c.wantStatus(0)
		wantSame(t, c.out.String(), "char from server = B\n")
	}
	p.terminate()
	p.wantStatus(0)
	if _, err := os.Lstat(filepath.Join(dir, "server_socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's file after the server's end: %v, want none", err)
	}
}

// TestManyClients holds many connections to one server open at a time, and talks over
// all of them in turns. A client that reads nothing must hold up nobody.
func TestManyClients(t *testing.T) {
	const clients = 100
	for _, system := range []string{"echo", "increment"} {
		for _, server := range parties {
			t.Run(system+" by "+server.name, func(t *testing.T) {
				t.Parallel()
				at := server.serve(t, system, tcpAt("0"))
				stuck := at.dial(t)
				if err := stuck.SetDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(stuck, endless{}); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("a client that never reads: %v, want it held back", err)
				}
				conns := make([]net.Conn, clients)
				for i := range conns {
					conns[i] = at.dial(t)
				}
				for round := range 3 {
					for i, c := range conns {
						if _, err := fmt.Fprintf(c, "%d of %3d", round, i); err != nil {
							t.Fatal(err)
						}
					}
					for i, c := range conns {
						want := fmt.Appendf(nil, "%d of %3d", round, i)
						if system == "increment" {
							want = plusOne(want)
						}
						got := make([]byte, len(want))
						if _, err := io.ReadFull(c, got); err != nil {
							t.Fatal(err)
						}
						wantSame(t, string(got), string(want))
					}
				}
			})
		}
	}
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestAbort resets connections in the middle of their data: the server must serve the
// next client all the same.
func TestAbort(t *testing.T) {
	for _, system := range []string{"echo", "increment"} {
		for _, server := range parties {
			t.Run(system+" by "+server.name, func(t *testing.T) {
				t.Parallel()
				at := server.serve(t, system, tcpAt("0"))
				for range 20 {
					c := at.dial(t).(*net.TCPConn)
					if _, err := c.Write(noise(100_000)); err != nil {
						t.Fatal(err)
					}
					if err := c.SetLinger(0); err != nil { // Close will send a reset
						t.Fatal(err)
					}
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
				}
				c := at.dial(t).(*net.TCPConn)
				if _, err := c.Write([]byte{1, 2, 3}); err != nil {
					t.Fatal(err)
				}
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(c)
				if err != nil {
					t.Fatal(err)
				}
				want := []byte{1, 2, 3}
				if system == "increment" {
					want = plusOne(want)
				}
				wantSame(t, string(got), string(want))
			})
		}
	}
}
