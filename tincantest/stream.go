package tincantest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A StreamFixture says how to open a transport of byte streams, and what its family lacks.
type StreamFixture struct {
	// Endpoint gives a URL that can be listened on. It is called for each test.
	Endpoint func(t *testing.T) string
	// Dialer and ListenConfig open it; nil means the zero value.
	Dialer       *tincan.Dialer
	ListenConfig *tincan.ListenConfig
	// What the family has no way to do; the function of that name must say so.
	NoCloseWrite, NoCloseRead, NoAbort, NoWaitReadable bool
	// CloseCutsShort says that Close may discard what the peer has not received yet.
	CloseCutsShort bool
}

// TestStream holds a transport of byte streams to what is expected of every one.
// It counts goroutines and descriptors, so nothing else may run beside it.
func TestStream(t *testing.T, f StreamFixture) {
	for _, test := range []struct {
		name string
		f    func(f StreamFixture, ctx context.Context, t *testing.T)
	}{
		{"BothWaysWhole", StreamFixture.bothWaysWhole},
		{"ReplyAfterHalfClose", StreamFixture.replyAfterHalfClose},
		{"CloseRead", StreamFixture.closeRead},
		{"Abort", StreamFixture.abort},
		{"CloseDelivers", StreamFixture.closeDelivers},
		{"CloseWakes", StreamFixture.closeWakes},
		{"PeerCloseWakes", StreamFixture.peerCloseWakes},
		{"Deadlines", StreamFixture.deadlines},
		{"WaitReadable", StreamFixture.waitReadable},
		{"DialEnds", StreamFixture.dialEnds},
		{"ListenerClose", StreamFixture.listenerClose},
		{"Apart", StreamFixture.apart},
	} {
		run(t, test.name, func(ctx context.Context, t *testing.T) { test.f(f, ctx, t) })
	}
}

func (f StreamFixture) listen(ctx context.Context, t *testing.T) *tincan.Listener {
	t.Helper()
	l, err := f.ListenConfig.Listen(ctx, f.Endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialable(t, l.Addr())
	return l
}

// connect dials l and gives both ends, ready for use and closed at the end of t.
func (f StreamFixture) connect(ctx context.Context, t *testing.T, l *tincan.Listener) (client, server net.Conn) {
	t.Helper()
	type accepted struct {
		net.Conn
		err error
	}
	accepts := background(func() accepted {
		c, err := l.Accept()
		if err == nil {
			err = tincan.Handshake(ctx, c)
		}
		return accepted{c, err}
	})
	client, err := f.Dialer.Dial(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	a := eventually(ctx, t, accepts, "Accept")
	if a.err != nil {
		t.Fatal(a.err)
	}
	t.Cleanup(func() { _ = a.Close() })
	unstick(ctx, t, client, a.Conn)
	for _, c := range []net.Conn{client, a.Conn} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return client, a.Conn
}

// bothEnds runs f for a connection as the client has it and for one as the server has it.
func (f StreamFixture) bothEnds(ctx context.Context, t *testing.T, test func(t *testing.T, c, peer net.Conn)) {
	l := f.listen(ctx, t)
	for _, name := range []string{"client", "server"} {
		t.Run(name, func(t *testing.T) {
			c, peer := f.connect(ctx, t, l)
			if name == "server" {
				c, peer = peer, c
			}
			test(t, c, peer)
		})
	}
}

// noise gives bytes whose order shows.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// writeUnevenly writes b in pieces of every sort of length.
func writeUnevenly(c net.Conn, b []byte) error {
	for size := 1; len(b) > 0; size = (size*3 + 1) % 100_003 {
		n, err := c.Write(b[:min(size, len(b))])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (f StreamFixture) bothWaysWhole(ctx context.Context, t *testing.T) {
	client, server := f.connect(ctx, t, f.listen(ctx, t))
	var results []<-chan error
	for i, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		want := noise(3<<20+i, uint64(i))
		results = append(results,
			background(func() error { return writeUnevenly(pair[0], want) }),
			background(func() error {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(pair[1], got); err != nil {
					return err
				}
				if !bytes.Equal(got, want) {
					return errors.New("other bytes arrived than were sent")
				}
				return nil
			}))
	}
	for _, r := range results {
		if err := eventually(ctx, t, r, "bytes both ways"); err != nil {
			t.Error(err)
		}
	}
}

func (f StreamFixture) replyAfterHalfClose(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		if f.NoCloseWrite {
			if err := tincan.CloseWrite(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("CloseWrite: %v, want ErrUnsupported", err)
			}
			return
		}
		request, reply := noise(100_000, 1), noise(1<<20, 2)
		got := background(func() []byte {
			b, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("the reply: %v", err)
			}
			return b
		})
		sent := background(func() error {
			if err := writeUnevenly(c, request); err != nil {
				return err
			}
			return tincan.CloseWrite(c)
		})
		if b, err := io.ReadAll(peer); err != nil || !bytes.Equal(b, request) {
			t.Errorf("the request: %d bytes, %v; want the %d sent and an orderly end", len(b), err, len(request))
		}
		if err := eventually(ctx, t, sent, "request"); err != nil {
			t.Error(err)
		}
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("Write works after CloseWrite")
		}
		if err := writeUnevenly(peer, reply); err != nil {
			t.Errorf("sending the reply: %v", err)
		}
		if err := tincan.CloseWrite(peer); err != nil {
			t.Errorf("CloseWrite of the second side: %v", err)
		}
		if b := eventually(ctx, t, got, "reply"); !bytes.Equal(b, reply) {
			t.Errorf("%d bytes of the reply arrived, want %d", len(b), len(reply))
		}
	})
}

func (f StreamFixture) closeRead(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		if f.NoCloseRead {
			if err := tincan.CloseRead(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("CloseRead: %v, want ErrUnsupported", err)
			}
			return
		}
		blocked := background(func() error {
			_, err := c.Read(make([]byte, 1))
			return err
		})
		if err := tincan.CloseRead(c); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, blocked, "Read while CloseRead is called"); !isEOF(err) {
			t.Errorf("Read: %v, want io.EOF", err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Errorf("Write after CloseRead: %v", err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
			t.Errorf("the peer's Read: %v", err)
		}
	})
}

func (f StreamFixture) abort(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		if f.NoAbort {
			if err := tincan.Abort(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Abort: %v, want ErrUnsupported", err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Errorf("Write after an Abort that is not supported: %v", err)
			}
			return
		}
		blocked := background(func() error {
			_, err := peer.Read(make([]byte, 1))
			return err
		})
		if err := tincan.Abort(c); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, blocked, "the peer's Read"); tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("the peer's Read: %v (kind %v), want a reset", err, tincan.KindOf(err))
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Abort: %v, want net.ErrClosed", err)
		}
	})
}

func (f StreamFixture) closeDelivers(ctx context.Context, t *testing.T) {
	if f.CloseCutsShort {
		t.Skip("Close may cut short, as the fixture says")
	}
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		want := noise(300_000, 3)
		sent := background(func() error {
			if err := writeUnevenly(c, want); err != nil {
				return err
			}
			return c.Close()
		})
		if b, err := io.ReadAll(peer); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d bytes, %v; want the %d that were sent before Close, and an orderly end", len(b), err, len(want))
		}
		if err := eventually(ctx, t, sent, "Close"); err != nil {
			t.Error(err)
		}
	})
}

// closeWakes closes a connection whose own Read and Write are blocked.
func (f StreamFixture) closeWakes(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, _ net.Conn) {
		reads := background(func() error { _, err := c.Read(make([]byte, 1)); return err })
		full := make(chan struct{})
		writes := background(func() error { return writeUntilFull(c, full) })
		eventually(ctx, t, full, "filling the peer's buffers")
		closes := background(c.Close)
		for what, result := range map[string]<-chan error{"Read": reads, "Write": writes} {
			if err := eventually(ctx, t, result, what+" while Close is called"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v, want net.ErrClosed", what, err)
			}
		}
		_ = eventually(ctx, t, closes, "Close") // what it tells of a peer that reads nothing is the family's
	})
}

// peerCloseWakes closes the peer of a connection that is blocked.
func (f StreamFixture) peerCloseWakes(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		reads := background(func() error { _, err := c.Read(make([]byte, 1)); return err })
		full := make(chan struct{})
		writes := background(func() error { return writeUntilFull(c, full) })
		eventually(ctx, t, full, "filling the peer's buffers")
		_ = peer.Close()
		for what, result := range map[string]<-chan error{"Read": reads, "Write": writes} {
			err := eventually(ctx, t, result, what+" while the peer closes")
			if kind := tincan.KindOf(err); kind != tincan.KindReset && (what == "Write" || !isEOF(err)) {
				t.Errorf("%s: %v (kind %v), want a reset, for Read io.EOF at most", what, err, kind)
			}
		}
	})
}

// writeUntilFull writes until an error; full is closed when a write took so
// long that it surely is blocked.
func writeUntilFull(c net.Conn, full chan struct{}) error {
	const surely = 100 * time.Millisecond
	blocked := time.AfterFunc(surely, func() { close(full) })
	defer blocked.Stop()
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return err
		}
		if blocked.Stop() {
			blocked.Reset(surely)
		}
	}
}

func (f StreamFixture) deadlines(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		var timeout net.Error
		check := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() || tincan.KindOf(err) != tincan.KindTimeout {
				t.Errorf("%s: %v, want os.ErrDeadlineExceeded", what, err)
			}
		}
		for _, d := range []time.Duration{-time.Second, 10 * time.Millisecond} {
			if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read(make([]byte, 1))
			check("Read", err)
		}
		// One that is set while Read is blocked.
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		blocked := background(func() error { _, err := c.Read(make([]byte, 1)); return err })
		if err := c.SetReadDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		check("blocked Read", eventually(ctx, t, blocked, "Read"))
		// Once it is moved, reading goes on.
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(peer, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("Read after the deadline was moved: %v", err)
		}
		if err := c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				check("Write", err)
				_ = peer.Close() // so that saying goodbye does not wait for room
				return
			}
		}
	})
}

func (f StreamFixture) waitReadable(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer net.Conn) {
		if f.NoWaitReadable {
			if err := tincan.WaitReadable(ctx, c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("WaitReadable: %v, want ErrUnsupported", err)
			}
			return
		}
		short, cancel := context.WithCancel(ctx)
		waits := background(func() error { return tincan.WaitReadable(short, c) })
		cancel()
		if err := eventually(ctx, t, waits, "WaitReadable"); !errors.Is(err, context.Canceled) {
			t.Errorf("WaitReadable whose ctx ends: %v, want context.Canceled", err)
		}
		waits = background(func() error { return tincan.WaitReadable(ctx, c) })
		want := "whole"
		if _, err := io.WriteString(peer, want); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, waits, "WaitReadable"); err != nil {
			t.Fatal(err)
		}
		if err := tincan.WaitReadable(ctx, c); err != nil {
			t.Errorf("a second wait: %v", err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("after the wait %q, %v; want %q", got, err, want)
		}
		waits = background(func() error { return tincan.WaitReadable(ctx, c) })
		_ = peer.Close()
		if err := eventually(ctx, t, waits, "WaitReadable"); err != nil {
			t.Errorf("when the peer closes: %v", err)
		}
		if _, err := c.Read(got); !isEOF(err) {
			t.Errorf("Read of the peer's end: %v, want io.EOF", err)
		}
	})
}

func (f StreamFixture) dialEnds(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c, err := f.Dialer.Dial(ended, l.Addr().String())
	if err == nil {
		_ = c.Close()
	}
	var opErr *net.OpError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &opErr) || opErr.Op != "dial" {
		t.Errorf("Dial with an ended ctx: %v, want an OpError of dial: context.Canceled", err)
	}
}

func (f StreamFixture) listenerClose(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	client, server := f.connect(ctx, t, l)
	accepts := background(func() error {
		c, err := l.Accept()
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := eventually(ctx, t, accepts, "Accept while Close is called"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
	if c, err := f.Dialer.Dial(ctx, l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the listener's address can be dialled after Close")
	} else if tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("Dial after Close: %v (kind %v), want kind connect", err, tincan.KindOf(err))
	}
	// What was accepted lives on.
	if _, err := io.WriteString(client, "x"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// apart holds connections of one listener to not touching each other.
func (f StreamFixture) apart(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	var clients, servers [3]net.Conn
	for i := range clients {
		clients[i], servers[i] = f.connect(ctx, t, l)
	}
	_ = clients[1].Close()
	for _, i := range []int{0, 2} {
		if _, err := clients[i].Write([]byte{byte(i)}); err != nil {
			t.Error(err)
		}
	}
	for i, want := range []error{nil, io.EOF, nil} {
		b := []byte{99}
		if _, err := io.ReadFull(servers[i], b); !errors.Is(err, want) || err == nil && b[0] != byte(i) {
			t.Errorf("connection %d: read %d, %v; want %v", i, b[0], err, want)
		}
	}
}
