package frame

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair gives the two ends of a TCP connection.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestConn(t *testing.T) {
	for _, f := range framings {
		t.Run(f.String(), func(t *testing.T) {
			a, b := pair(t)
			ca, cb := NewConn(a, f, 0), NewConn(b, f, 0)
			buf := make([]byte, 100<<10)
			var large string
			if f == Len16 {
				large = strings.Repeat("x", 65535)
			} else {
				large = strings.Repeat("x", len(buf))
			}
			for _, want := range []string{"hello", "", large} {
				sent := make(chan error, 1)
				go func() { sent <- ca.WriteMessage(t.Context(), []byte(want)) }()
				n, err := cb.ReadMessage(t.Context(), buf)
				if err != nil || string(buf[:n]) != want {
					t.Fatalf("%d bytes, %v; want %d", n, err, len(want))
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			if err := ca.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := cb.ReadMessage(t.Context(), buf); err != io.EOF {
				t.Errorf("at the end: %v, want io.EOF", err)
			}
		})
	}
}

func TestConnShortBuffer(t *testing.T) {
	a, b := pair(t)
	ca, cb := NewConn(a, Len16, 0), NewConn(b, Len16, 0)
	for _, msg := range []string{"too long", "ok"} {
		if err := ca.WriteMessage(t.Context(), []byte(msg)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 2)
	if _, err := cb.ReadMessage(t.Context(), buf); !errors.Is(err, io.ErrShortBuffer) {
		t.Fatalf("got %v, want io.ErrShortBuffer", err)
	}
	if n, err := cb.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != "ok" {
		t.Errorf("then %q, %v", buf[:n], err)
	}
}

// The end of ctx ends a read in the middle of a message, of which nothing is lost.
func TestConnContext(t *testing.T) {
	a, b := pair(t)
	c := NewConn(b, Len32, 0)
	if _, err := a.Write([]byte("\x00\x00\x00\x03ab")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	buf := make([]byte, 10)
	_, err := c.ReadMessage(ctx, buf)
	var opErr *net.OpError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &opErr) {
		t.Fatalf("got %v, want an OpError of context.DeadlineExceeded", err)
	}
	if _, err := a.Write([]byte("c")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadMessage(ctx, buf); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a ctx that has ended: %v", err)
	}
	if n, err := c.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != "abc" {
		t.Errorf("then %q, %v", buf[:n], err)
	}
}

// A frame that ctx cut is the last: the rest would be taken for the next one's.
func TestConnCutWrite(t *testing.T) {
	a, b := pair(t)
	c := NewConn(a, Len32, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	big := make([]byte, DefaultLimit) // more than the system buffers
	written := make(chan error)
	go func() { written <- c.WriteMessage(ctx, big) }()
	if _, err := io.ReadFull(b, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-written; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if err := c.WriteMessage(t.Context(), []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("then %v, want the same error", err)
	}
	if n, err := io.Copy(io.Discard, b); err == nil && n >= DefaultLimit-100 {
		t.Errorf("the peer got the whole message: %d bytes more", n)
	}
}

func TestConnWaitReadable(t *testing.T) {
	a, b := pair(t)
	c := NewConn(b, Line, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Write([]byte("one\ntw")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.WaitReadable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 10)
	if n, err := c.ReadMessage(t.Context(), buf); err != nil || string(buf[:n]) != "one" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if err := c.WaitReadable(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("half a line: %v, want context.DeadlineExceeded", err)
	}
	if err := a.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReadable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadMessage(t.Context(), buf); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
}

func TestConnErrors(t *testing.T) {
	a, b := pair(t)
	c := NewConn(a, Line, 10)
	if err := c.WriteMessage(t.Context(), make([]byte, 11)); !errors.Is(err, ErrTooLong) {
		t.Errorf("over the limit: %v", err)
	}
	if err := c.WriteMessage(t.Context(), []byte("a\nb")); !errors.Is(err, ErrDelimiter) {
		t.Errorf("with a newline: %v", err)
	}
	if _, err := b.Write([]byte(strings.Repeat("x", 20))); err != nil {
		t.Fatal(err)
	}
	var fault *ProtocolError
	if _, err := c.ReadMessage(t.Context(), make([]byte, 20)); !errors.As(err, &fault) {
		t.Errorf("reading over the limit: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMessage(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestConnClosesBlockedRead(t *testing.T) {
	a, _ := pair(t)
	c := NewConn(a, Line, 0)
	read := make(chan error)
	go func() {
		_, err := c.ReadMessage(t.Context(), nil)
		read <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

// Messages that many write at once, and many read, arrive whole.
func TestConnManyAtOnce(t *testing.T) {
	const writers, each = 8, 200
	a, b := pair(t)
	ca, cb := NewConn(a, Uvarint, 0), NewConn(b, Uvarint, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				msg := strings.Repeat(fmt.Sprintf("%d/%d ", w, i), i)
				if err := ca.WriteMessage(t.Context(), []byte(msg)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			buf := make([]byte, 4096)
			for range each {
				n, err := cb.ReadMessage(t.Context(), buf)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[string(buf[:n])]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got[""] != writers || len(got) != writers*(each-1)+1 {
		t.Errorf("%d different messages, %d empty", len(got), got[""])
	}
}
