package vsock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/tincantest"
	"golang.org/x/net/nettest"
)

// listen binds endpoint, or skips the test where the kernel has no vsock.
func listen(t *testing.T, endpoint string) *tincan.Listener {
	t.Helper()
	lc := tincan.ListenConfig{Config: config()}
	l, err := lc.Listen(t.Context(), endpoint)
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.ENODEV) {
		t.Skipf("no vsock here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// dialable gives a listener that this machine can connect to, which takes the
// kernel's loopback transport (vsock_loopback) or skips the test.
func dialable(t *testing.T) *tincan.Listener {
	t.Helper()
	l := listen(t, "vsock://*:0")
	c, err := dial(t, l.Addr().String(), time.Second)
	if err != nil {
		t.Skipf("vsock does not reach this machine itself: %v", err)
	}
	_ = c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	return l
}

func dial(t *testing.T, endpoint string, timeout time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	d := tincan.Dialer{Config: config()}
	return d.Dial(ctx, endpoint)
}

func TestListenerAddr(t *testing.T) {
	for _, host := range []string{"*", ""} {
		l := listen(t, "vsock://"+host+":0")
		e, err := tincan.ParseEndpoint(l.Addr().String())
		if err != nil || e.Scheme != "vsock" || e.Host != "*" || e.Port == "0" {
			t.Errorf("listening on %q: Addr %v, %v", host, l.Addr(), err)
		}
		lc := tincan.ListenConfig{Config: config()}
		if _, err := lc.Listen(t.Context(), l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) || tincan.KindOf(err) != tincan.KindBind {
			t.Errorf("listening on %v again: %v, kind %v", l.Addr(), err, tincan.KindOf(err))
		}
	}
}

func TestClosedListener(t *testing.T) {
	l := listen(t, "vsock://*:0")
	accept := make(chan error)
	go func() { _, err := l.Accept(); accept <- err }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accept; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// The host refuses, or there is none: either way there is no connection, and ctx bounds the wait.
func TestDialFails(t *testing.T) {
	listen(t, "vsock://*:0") // skips where there is no vsock
	for _, endpoint := range []string{"vsock://host:1", "vsock://local:1", "vsock://4294967294:1"} {
		start := time.Now()
		c, err := dial(t, endpoint, 100*time.Millisecond)
		var opErr *net.OpError
		if c != nil || !errors.As(err, &opErr) || opErr.Op != "dial" {
			t.Errorf("%s: %v", endpoint, err)
		}
		want := tincan.KindConnect
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			want = tincan.KindTimeout
		}
		if kind := tincan.KindOf(err); kind != want {
			t.Errorf("%s: %v, kind %v, want %v", endpoint, err, kind, want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", endpoint, took)
		}
	}
}

func TestDialTrace(t *testing.T) {
	var steps []string
	d := tincan.Dialer{Config: config()}
	d.Trace = &tincan.Trace{
		Connecting: func(network, addr string) { steps = append(steps, "connecting "+network+" "+addr) },
		Connected: func(network, addr string, _ time.Duration, err error) {
			steps = append(steps, "connected "+network+" "+addr)
			if err == nil {
				t.Error("who listens there?")
			}
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _ = d.Dial(ctx, "vsock://2:1")
	if got := strings.Join(steps, ", "); got != "connecting vsock vsock://host:1, connected vsock vsock://host:1" {
		t.Errorf("steps: %s", got)
	}
}

func TestNetConn(t *testing.T) {
	l := dialable(t)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Errorf("Accept: %v", err)
			}
			accepted <- c
		}()
		if c1, err = dial(t, l.Addr().String(), 10*time.Second); err != nil {
			return nil, nil, nil, err
		}
		c2 = <-accepted
		return c1, c2, func() { _, _ = c1.Close(), c2.Close() }, nil
	})
}

func TestHalfClose(t *testing.T) {
	l := dialable(t)
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
		_, _ = c.Write(b)
	}()
	c, err := dial(t, l.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
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
}

func TestConformance(t *testing.T) {
	dialable(t)
	tincantest.TestStream(t, tincantest.StreamFixture{
		Endpoint:     func(*testing.T) string { return "vsock://*:0" },
		Dialer:       &tincan.Dialer{Config: config()},
		ListenConfig: &tincan.ListenConfig{Config: config()},
		NoAbort:      true,
	})
}
