package ws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/net/nettest"
)

// endpoints are what every test of behaviour runs over; each call makes a fresh one.
var endpoints = map[string]func(t *testing.T) string{
	"ws":      func(*testing.T) string { return "ws://127.0.0.1:0/x" },
	"ws+unix": func(t *testing.T) string { return "ws+unix://" + filepath.Join(t.TempDir(), "s") + ":/x" },
}

func TestNetConn(t *testing.T) {
	tests := []struct {
		endpoint, query string
		server          bool // whose end is under test
	}{
		{"ws", "", false},
		{"ws", "", true},
		{"ws", "?text", false},
		{"ws+unix", "", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.endpoint, tt.query, " server ", tt.server), func(t *testing.T) {
			t.Parallel()
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, c2 = pair(t, endpoints[tt.endpoint](t), tt.query)
				if tt.server {
					c1, c2 = c2, c1
				}
				return c1, c2, func() { _, _ = c1.Close(), c2.Close() }, nil
			})
		})
	}
}

func TestStreamCarriesEveryByte(t *testing.T) {
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, endpoint(t), "")
			want := make([]byte, 4<<20)
			_, _ = rand.Read(want)
			go func() {
				if n, err := client.Write(want); n != len(want) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
				if err := client.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			got, err := io.ReadAll(server)
			if err != nil {
				t.Errorf("an orderly end reads as %v", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes arrived that differ from the %d sent", len(got), len(want))
			}
			if _, err := server.Write([]byte("x")); tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("writing to a closed peer: %v, kind %v", err, tincan.KindOf(err))
			}
		})
	}
}

func TestEndWithoutCloseFrame(t *testing.T) {
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, endpoint(t), "")
			_ = client.(interface{ NetConn() net.Conn }).NetConn().Close()
			_, err := server.Read(make([]byte, 1))
			if !errors.Is(err, io.ErrUnexpectedEOF) || tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("Read: %v, kind %v", err, tincan.KindOf(err))
			}
		})
	}
}

func TestAbort(t *testing.T) {
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, endpoint(t), "")
			if err := tincan.Abort(client); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindReset {
				t.Errorf("Read: %v, kind %v", err, tincan.KindOf(err))
			}
		})
	}
}

func TestNoHalfClose(t *testing.T) {
	client, _ := pair(t, "ws://127.0.0.1:0", "")
	if err := tincan.CloseWrite(client); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite: %v", err)
	}
}

func TestCloseEndsReadAndWrite(t *testing.T) {
	client, _ := pair(t, "ws://127.0.0.1:0", "")
	errs := make(chan error, 2)
	go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
	go func() {
		for {
			if _, err := client.Write(make([]byte, 1<<20)); err != nil { // nobody reads it
				errs <- err
				return
			}
		}
	}()
	// What is queued can't be sent, as nobody reads: Close says so, and soon.
	start := time.Now()
	if err := client.Close(); !errors.Is(err, os.ErrDeadlineExceeded) && err != nil {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestWriteGoesOnAfterDeadline(t *testing.T) {
	client, server := pair(t, "ws://127.0.0.1:0?recv-buffer=64KiB", "?send-buffer=64KiB")
	want := make([]byte, 8<<20)
	_, _ = rand.Read(want)
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		if err := tincan.WaitReadable(ctx(t), server); err != nil {
			t.Error(err)
		}
		_ = client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	}()
	n, err := client.Write(want) // nobody reads it yet
	<-begun
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(want) {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if again, err := client.Write(want[n:]); again != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write after the deadline = %d, %v", again, err)
	}
	_ = client.SetWriteDeadline(time.Time{})
	go func() {
		if _, err := client.Write(want[n:]); err != nil {
			t.Errorf("Write: %v", err)
		}
		_ = client.Close()
	}()
	if got, err := io.ReadAll(server); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d of %d bytes, %v", len(got), len(want), err)
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	l := listenMessage(t, "ws://127.0.0.1:0")
	text := bytes.Repeat([]byte("aé€😀"), 20_000)
	go func() {
		c, err := dialer().Dial(context.Background(), l.Addr().String()+"?text")
		if err != nil {
			t.Errorf("Dial: %v", err)
			return
		}
		for p := text; len(p) > 0; {
			n := min(len(p), 9_999) // in the middle of characters, most times
			if got, err := c.Write(p[:n]); got != n || err != nil {
				t.Errorf("Write = %d, %v", got, err)
			}
			p = p[n:]
		}
		_ = c.Close()
	}()
	c, err := l.Accept(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.ReadMessage(ctx(t), buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r := bytes.ToValidUTF8(buf[:n], nil); len(r) != n {
			t.Errorf("a message holds a part of a character")
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, text) {
		t.Errorf("%d of %d bytes arrived", len(got), len(text))
	}
}

func TestTextThatEndsInsideACharacter(t *testing.T) {
	client, server := pair(t, "ws://127.0.0.1:0", "?text")
	if n, err := client.Write([]byte("a\xe2\x82")); n != 3 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	go func() { _ = client.Close() }() // it waits for the server's close frame
	if got, err := io.ReadAll(server); string(got) != "a\xe2\x82" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestWaitReadable(t *testing.T) {
	client, server := pair(t, "ws://127.0.0.1:0", "")
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := tincan.WaitReadable(short, server); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitReadable with nothing there: %v", err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tincan.WaitReadable(ctx(t), server); err != nil {
			t.Errorf("WaitReadable: %v", err)
		}
	}
	buf := make([]byte, 2)
	if n, err := server.Read(buf); n != 1 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
	_ = client.Close()
	if err := tincan.WaitReadable(ctx(t), server); err != nil {
		t.Errorf("WaitReadable at the end: %v", err)
	}
}
