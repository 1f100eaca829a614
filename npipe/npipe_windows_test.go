package npipe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Microsoft/go-winio"
	"github.com/tincan-ipc/tincan"
)

var names atomic.Int64

// listen makes a pipe with a name of its own.
func listen(t *testing.T) *tincan.Listener {
	t.Helper()
	lc := tincan.ListenConfig{Config: config()}
	l, err := lc.Listen(t.Context(), fmt.Sprintf("npipe:tincan-test-%d-%d", os.Getpid(), names.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d := tincan.Dialer{Config: config()}
	c, err := d.Dial(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestHalfClose(t *testing.T) {
	l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		if _, err := c.Write(b); err != nil {
			t.Errorf("server: %v", err)
		}
		if err := tincan.CloseWrite(c); err != nil {
			t.Errorf("server: %v", err)
		}
	}()
	c := dial(t, l)
	want := bytes.Repeat([]byte("half-close "), 1000)
	if _, err := c.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(want), err)
	}
	if _, err := c.Write([]byte("x")); tincan.KindOf(err) != tincan.KindReset {
		t.Errorf("Write after CloseWrite: %v", err)
	}
}

func TestDeadlineAndClose(t *testing.T) {
	l := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	c := dial(t, l)
	defer func() { _ = (<-accepted).Close() }()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("Read: %v", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	read := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	_ = c.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestByteModeHasNoHalfClose(t *testing.T) {
	path := fmt.Sprintf(`tincan-test-%d-%d`, os.Getpid(), names.Add(1))
	l, err := winio.ListenPipe(`\\.\pipe\`+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	d := tincan.Dialer{Config: config()}
	c, err := d.Dial(t.Context(), "npipe:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := tincan.CloseWrite(c); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite: %v", err)
	}
}

func TestNameIsTaken(t *testing.T) {
	l := listen(t)
	lc := tincan.ListenConfig{Config: config()}
	if _, err := lc.Listen(t.Context(), l.Addr().String()); tincan.KindOf(err) != tincan.KindBind {
		t.Errorf("Listen: %v, kind %v", err, tincan.KindOf(err))
	}
}

func TestNobodyListens(t *testing.T) {
	d := tincan.Dialer{Config: config()}
	if _, err := d.Dial(t.Context(), "npipe:tincan-test-nobody"); tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("Dial: %v, kind %v", err, tincan.KindOf(err))
	}
}
