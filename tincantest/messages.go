package tincantest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A MessageFixture says how to open a transport of messages, and what its family lacks.
type MessageFixture struct {
	// Endpoint gives a URL that can be listened on. It is called for each test.
	Endpoint func(t *testing.T) string
	// Dialer and ListenConfig open it; nil means the zero value.
	Dialer       *tincan.Dialer
	ListenConfig *tincan.ListenConfig
	// Datagrams says that peers are told apart by their address alone: a
	// message may be dropped where queues are full, no end of a peer shows,
	// and closing the listener ends what it accepted.
	Datagrams bool
	// What the family has no way to do; the function of that name must say so.
	NoCloseWrite, NoCloseRead, NoAbort, NoWaitReadable bool
	// MaxMessage is the longest message in bytes that can be sent; a longer one
	// is ErrMessageTooLong. Zero leaves that untested.
	MaxMessage int
}

// TestMessages holds a transport of messages to what is expected of every one.
// It counts goroutines and descriptors, so nothing else may run beside it.
func TestMessages(t *testing.T, f MessageFixture) {
	for _, test := range []struct {
		name string
		f    func(f MessageFixture, ctx context.Context, t *testing.T)
	}{
		{"Boundaries", MessageFixture.boundaries},
		{"Order", MessageFixture.order},
		{"ShortBuffer", MessageFixture.shortBuffer},
		{"TooLong", MessageFixture.tooLong},
		{"CancelLosesNothing", MessageFixture.cancelLosesNothing},
		{"End", MessageFixture.end},
		{"CloseRead", MessageFixture.closeRead},
		{"Abort", MessageFixture.abort},
		{"CloseWakes", MessageFixture.closeWakes},
		{"WaitReadable", MessageFixture.waitReadable},
		{"DialEnds", MessageFixture.dialEnds},
		{"ListenerClose", MessageFixture.listenerClose},
		{"Apart", MessageFixture.apart},
	} {
		run(t, test.name, func(ctx context.Context, t *testing.T) { test.f(f, ctx, t) })
	}
}

func (f MessageFixture) listen(ctx context.Context, t *testing.T) tincan.MessageListener {
	t.Helper()
	l, err := f.ListenConfig.ListenMessage(ctx, f.Endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialable(t, l.Addr())
	return l
}

// connect dials l and gives both ends, closed at the end of t. The client
// speaks first, as a listener of datagrams knows a peer by what it sends.
func (f MessageFixture) connect(ctx context.Context, t *testing.T, l tincan.MessageListener) (client, server tincan.MessageConn) {
	t.Helper()
	type accepted struct {
		tincan.MessageConn
		err error
	}
	accepts := background(func() accepted { // while the client dials, as a handshake takes both
		c, err := l.Accept(ctx)
		if err == nil {
			err = tincan.Handshake(ctx, c)
		}
		return accepted{c, err}
	})
	client, err := f.Dialer.DialMessage(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	greeted := background(func() error { return client.WriteMessage(ctx, []byte("hello")) })
	a := eventually(ctx, t, accepts, "Accept")
	if a.err != nil {
		t.Fatal(a.err)
	}
	server = a.MessageConn
	t.Cleanup(func() { _ = server.Close() })
	unstick(ctx, t, client, server)
	expect(ctx, t, server, "hello")
	if err := eventually(ctx, t, greeted, "the first message"); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// bothEnds runs f for a connection as the client has it and for one as the server has it.
func (f MessageFixture) bothEnds(ctx context.Context, t *testing.T, test func(t *testing.T, c, peer tincan.MessageConn)) {
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

func send(ctx context.Context, t *testing.T, c tincan.MessageConn, msgs ...string) {
	t.Helper()
	for _, m := range msgs {
		if err := c.WriteMessage(ctx, []byte(m)); err != nil {
			t.Fatalf("WriteMessage %.20q: %v", m, err)
		}
	}
}

func expect(ctx context.Context, t *testing.T, c tincan.MessageConn, msgs ...string) {
	t.Helper()
	buf := make([]byte, 100)
	for _, want := range msgs {
		n, err := c.ReadMessage(ctx, buf)
		if string(buf[:n]) != want || err != nil {
			t.Fatalf("ReadMessage: %q, %v; want %q", buf[:n], err, want)
		}
	}
}

func (f MessageFixture) boundaries(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		send(ctx, t, c, "a", "", "b", "", "")
		expect(ctx, t, peer, "a", "", "b", "", "")
		buf := make([]byte, 100_000)
		for i, size := range []int{1, 2, 255, 256, 1400, 1500, 9000} {
			if f.MaxMessage > 0 && size > f.MaxMessage {
				break
			}
			want := noise(size, uint64(i))
			sent := background(func() error { return c.WriteMessage(ctx, want) })
			n, err := peer.ReadMessage(ctx, buf)
			if err != nil || !bytes.Equal(buf[:n], want) {
				t.Errorf("a message of %d bytes: %d bytes arrived, %v", size, n, err)
			}
			if n, err := peer.ReadMessage(expired(), buf); err == nil {
				t.Errorf("%d more bytes arrived than the one message", n)
			}
			if err := eventually(ctx, t, sent, "WriteMessage"); err != nil {
				t.Error(err)
			}
		}
	})
}

// expired gives a context whose deadline has passed.
func expired() context.Context {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	cancel()
	return ctx
}

// order sends numbered messages of all sorts of lengths, both ways at once.
func (f MessageFixture) order(ctx context.Context, t *testing.T) {
	client, server := f.connect(ctx, t, f.listen(ctx, t))
	count := 5000
	if f.Datagrams {
		count = 50 // what fits into a queue, which is all that can be counted on
	}
	var results []<-chan error
	for _, pair := range [][2]tincan.MessageConn{{client, server}, {server, client}} {
		size := func(i int) int { return 4 + i*37%500 }
		results = append(results,
			background(func() error {
				for i := range count {
					m := make([]byte, size(i))
					binary.BigEndian.PutUint32(m, uint32(i))
					if err := pair[0].WriteMessage(ctx, m); err != nil {
						return err
					}
				}
				return nil
			}),
			background(func() error {
				buf := make([]byte, 1000)
				for i := range count {
					n, err := pair[1].ReadMessage(ctx, buf)
					if err != nil {
						return fmt.Errorf("message %d: %w", i, err)
					}
					if got := binary.BigEndian.Uint32(buf); n != size(i) || int(got) != i {
						return fmt.Errorf("message %d has %d bytes and the number %d", i, n, got)
					}
				}
				return nil
			}))
	}
	for _, r := range results {
		if err := eventually(ctx, t, r, "messages both ways"); err != nil {
			t.Error(err)
		}
	}
}

func (f MessageFixture) shortBuffer(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		send(ctx, t, c, "too long", "x", "", "fits")
		if n, err := peer.ReadMessage(ctx, make([]byte, 7)); n != 0 || !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("a message longer than the buffer: %d, %v; want 0, io.ErrShortBuffer", n, err)
		}
		if n, err := peer.ReadMessage(ctx, nil); n != 0 || !errors.Is(err, io.ErrShortBuffer) {
			t.Errorf("a message and no buffer: %d, %v; want 0, io.ErrShortBuffer", n, err)
		}
		if n, err := peer.ReadMessage(ctx, nil); n != 0 || err != nil {
			t.Errorf("an empty message and no buffer: %d, %v; want 0, nil", n, err)
		}
		buf := make([]byte, len("fits"))
		if n, err := peer.ReadMessage(ctx, buf); string(buf[:n]) != "fits" || err != nil {
			t.Errorf("a message that just fits: %q, %v", buf[:n], err)
		}
	})
}

func (f MessageFixture) tooLong(ctx context.Context, t *testing.T) {
	if f.MaxMessage == 0 {
		t.Skip("the fixture names no longest message")
	}
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		longest := noise(f.MaxMessage+1, 5)
		err := c.WriteMessage(ctx, longest)
		var opErr *net.OpError
		if !errors.Is(err, tincan.ErrMessageTooLong) || !errors.As(err, &opErr) {
			t.Errorf("a message of %d bytes: %v, want an OpError of ErrMessageTooLong", len(longest), err)
		}
		longest = longest[:f.MaxMessage]
		sent := background(func() error { return c.WriteMessage(ctx, longest) })
		buf := make([]byte, len(longest))
		if n, err := peer.ReadMessage(ctx, buf); err != nil || !bytes.Equal(buf[:n], longest) {
			t.Errorf("a message of %d bytes: %d arrived, %v", len(longest), n, err)
		}
		if err := eventually(ctx, t, sent, "WriteMessage"); err != nil {
			t.Error(err)
		}
	})
}

// cancelLosesNothing reads under contexts that end at any moment.
func (f MessageFixture) cancelLosesNothing(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		const count = 200
		arrived := make(chan struct{})
		sent := background(func() error {
			for i := range count {
				if err := c.WriteMessage(ctx, []byte{byte(i)}); err != nil {
					return err
				}
				select {
				case <-arrived:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
		buf := make([]byte, 10)
		for i, try := 0, 0; i < count; try++ {
			short, cancel := context.WithTimeout(ctx, time.Duration(try%20)*10*time.Microsecond)
			n, err := peer.ReadMessage(short, buf)
			cancel()
			switch {
			case err == nil && (n != 1 || buf[0] != byte(i)):
				t.Fatalf("message %d is %x", i, buf[:n])
			case err == nil:
				i++
				arrived <- struct{}{}
			case ctx.Err() != nil:
				t.Fatalf("message %d never came", i)
			case !errors.Is(err, context.DeadlineExceeded) || tincan.KindOf(err) != tincan.KindTimeout:
				t.Fatalf("a read whose ctx ends: %v, want context.DeadlineExceeded", err)
			}
		}
		if err := eventually(ctx, t, sent, "WriteMessage"); err != nil {
			t.Error(err)
		}
	})
}

// end holds what a peer sent before its end to arriving, and its end to showing.
func (f MessageFixture) end(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		if f.NoCloseWrite {
			if err := tincan.CloseWrite(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("CloseWrite: %v, want ErrUnsupported", err)
			}
		}
		send(ctx, t, c, "last", "")
		if !f.NoCloseWrite {
			if err := tincan.CloseWrite(c); err != nil {
				t.Fatal(err)
			}
			expect(ctx, t, peer, "last", "")
			if n, err := peer.ReadMessage(ctx, make([]byte, 10)); n != 0 || !isEOF(err) {
				t.Errorf("ReadMessage after CloseWrite: %d, %v; want io.EOF", n, err)
			}
			if err := c.WriteMessage(ctx, []byte("x")); err == nil {
				t.Error("WriteMessage works after CloseWrite")
			}
			send(ctx, t, peer, "reply", "")
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
			expect(ctx, t, c, "reply", "")
			if n, err := c.ReadMessage(ctx, make([]byte, 10)); n != 0 || !isEOF(err) {
				t.Errorf("ReadMessage after the peer's Close: %d, %v; want io.EOF", n, err)
			}
			return
		}
		if f.Datagrams {
			expect(ctx, t, peer, "last", "")
			return
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		expect(ctx, t, peer, "last", "")
		if n, err := peer.ReadMessage(ctx, make([]byte, 10)); n != 0 || !isEOF(err) {
			t.Errorf("ReadMessage after the peer's Close: %d, %v; want io.EOF", n, err)
		}
	})
}

func (f MessageFixture) closeRead(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		if f.NoCloseRead {
			if err := tincan.CloseRead(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("CloseRead: %v, want ErrUnsupported", err)
			}
			return
		}
		blocked := background(func() error { _, err := c.ReadMessage(ctx, make([]byte, 1)); return err })
		if err := tincan.CloseRead(c); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, blocked, "ReadMessage while CloseRead is called"); !isEOF(err) {
			t.Errorf("ReadMessage: %v, want io.EOF", err)
		}
		send(ctx, t, c, "still")
		expect(ctx, t, peer, "still")
	})
}

func (f MessageFixture) abort(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
		if f.NoAbort {
			if err := tincan.Abort(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Abort: %v, want ErrUnsupported", err)
			}
			send(ctx, t, c, "still")
			expect(ctx, t, peer, "still")
			return
		}
		blocked := background(func() error { _, err := peer.ReadMessage(ctx, make([]byte, 1)); return err })
		if err := tincan.Abort(c); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, blocked, "the peer's ReadMessage"); tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("the peer's ReadMessage: %v (kind %v), want a reset", err, tincan.KindOf(err))
		}
	})
}

func (f MessageFixture) closeWakes(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, _ tincan.MessageConn) {
		blocked := background(func() error { _, err := c.ReadMessage(ctx, make([]byte, 1)); return err })
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := eventually(ctx, t, blocked, "ReadMessage while Close is called"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadMessage: %v, want net.ErrClosed", err)
		}
		if err := c.WriteMessage(ctx, []byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteMessage after Close: %v, want net.ErrClosed", err)
		}
	})
}

func (f MessageFixture) waitReadable(ctx context.Context, t *testing.T) {
	f.bothEnds(ctx, t, func(t *testing.T, c, peer tincan.MessageConn) {
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
		for _, msg := range []string{"x", ""} { // an empty message is there to be read too
			waits = background(func() error { return tincan.WaitReadable(ctx, c) })
			send(ctx, t, peer, msg)
			if err := eventually(ctx, t, waits, "WaitReadable"); err != nil {
				t.Fatal(err)
			}
			if err := tincan.WaitReadable(ctx, c); err != nil {
				t.Errorf("a second wait: %v", err)
			}
			expect(ctx, t, c, msg)
		}
	})
}

func (f MessageFixture) dialEnds(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c, err := f.Dialer.DialMessage(ended, l.Addr().String())
	if err == nil {
		_ = c.Close()
	}
	var opErr *net.OpError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &opErr) || opErr.Op != "dial" {
		t.Errorf("DialMessage with an ended ctx: %v, want an OpError of dial: context.Canceled", err)
	}
	if c, err := l.Accept(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept with an ended ctx: %v, %v; want context.Canceled", c, err)
	}
}

func (f MessageFixture) listenerClose(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	client, server := f.connect(ctx, t, l)
	accepts := background(func() error {
		c, err := l.Accept(ctx)
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
	if f.Datagrams {
		if _, err := server.ReadMessage(ctx, make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadMessage of a peer whose listener was closed: %v, want net.ErrClosed", err)
		}
		return
	}
	if c, err := f.Dialer.DialMessage(ctx, l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the listener's address can be dialled after Close")
	} else if tincan.KindOf(err) != tincan.KindConnect {
		t.Errorf("DialMessage after Close: %v (kind %v), want kind connect", err, tincan.KindOf(err))
	}
	send(ctx, t, client, "still")
	expect(ctx, t, server, "still")
}

// apart holds peers of one listener to not touching each other.
func (f MessageFixture) apart(ctx context.Context, t *testing.T) {
	l := f.listen(ctx, t)
	var clients, servers [3]tincan.MessageConn
	for i := range clients {
		clients[i], servers[i] = f.connect(ctx, t, l)
	}
	for _, i := range []int{2, 0, 1, 1, 0, 2} {
		send(ctx, t, clients[i], fmt.Sprint("from ", i))
	}
	for i, s := range servers {
		expect(ctx, t, s, fmt.Sprint("from ", i), fmt.Sprint("from ", i))
		send(ctx, t, s, fmt.Sprint("to ", i))
	}
	_ = clients[1].Close()
	for _, i := range []int{0, 2} {
		expect(ctx, t, clients[i], fmt.Sprint("to ", i))
		send(ctx, t, clients[i], "again")
		expect(ctx, t, servers[i], "again")
	}
}
