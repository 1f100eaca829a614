package tincan_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// sendJoined sends data as one packet, which the kernel cuts into datagrams of size
// bytes if it doesn't hand it over as it is; 0 for one datagram.
func sendJoined(t *testing.T, c *net.UDPConn, data []byte, size int) {
	t.Helper()
	var oob []byte
	if size > 0 {
		oob = make([]byte, unix.CmsgSpace(2))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
	}
	if _, _, err := c.WriteMsgUDP(data, oob, nil); err != nil {
		t.Fatalf("%d bytes in pieces of %d: %v", len(data), size, err)
	}
}

// eachJoined calls f with a connection and a bare socket that is its peer: a listener's flow, whose socket is
// bound to one address or to all, and one that is dialled. The deadline of ctx is for the whole.
func eachJoined(t *testing.T, f func(ctx context.Context, t *testing.T, c tincan.MessageConn, peer *net.UDPConn)) {
	run := func(t *testing.T, c tincan.MessageConn, peer *net.UDPConn) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f(ctx, t, c, peer)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "*"} {
		t.Run("flow of "+host, func(t *testing.T) {
			l := listenMessage(t, nil, "udp://"+host+":0")
			at := l.Addr().(*tincan.Endpoint)
			to := net.JoinHostPort("127.0.0.1", at.Port)
			if host == "[::1]" {
				to = net.JoinHostPort("::1", at.Port)
			}
			peer, err := net.Dial("udp", to)
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			sendJoined(t, peer.(*net.UDPConn), []byte("hello"), 0)
			c := accept(t, l)
			if got := read(t, c); got != "hello" {
				t.Fatalf("got %q", got)
			}
			run(t, c, peer.(*net.UDPConn))
		})
	}
	t.Run("dialled", func(t *testing.T) {
		first, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := first.LocalAddr()
		c := dialMessage(t, "udp://"+at.String())
		_ = first.Close()
		peer, err := (&net.Dialer{LocalAddr: at}).Dial("udp", c.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		run(t, c, peer.(*net.UDPConn))
	})
}

// marked gives n bytes of a pattern that tells where in the stream a piece comes from.
func marked(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8)
	}
	return data
}

// pieces cuts data as the kernel would.
func pieces(data []byte, size int) [][]byte {
	var all [][]byte
	for size > 0 && len(data) > size {
		all = append(all, data[:size])
		data = data[size:]
	}
	return append(all, data)
}

// What a peer sends as one packet arrives as the datagrams that it is of, in their order, whichever way it is read.
func TestJoinedDatagrams(t *testing.T) {
	sends := []struct{ total, size int }{
		{64 * 64, 64},
		{64, 0},
		{0, 0},
		{63*64 + 1, 64},
		{64, 1},
		{0, 0},
		{65, 64},
		{128, 64},
		{1, 0},
		{40 * 1400, 1400},
		{1400, 0},
		{40*1400 - 1, 1400},
		{65507, 0},
		{0, 0},
		{3 * 1400, 1400},
	}
	eachJoined(t, func(ctx context.Context, t *testing.T, c tincan.MessageConn, peer *net.UDPConn) {
		buf := make([]byte, 64<<10)
		one := func() [][]byte {
			n, err := c.ReadMessage(ctx, buf)
			if err != nil {
				t.Fatal(err)
			}
			return [][]byte{buf[:n]}
		}
		var b tincan.Batch
		defer b.Release()
		batch := func() [][]byte {
			if err := tincan.ReadBatch(ctx, c, &b, 0); err != nil {
				t.Fatal(err)
			}
			return b.Messages()
		}
		asked := func() [][]byte {
			if err := tincan.WaitReadable(ctx, c); err != nil {
				t.Fatal(err)
			}
			size, err := tincan.NextSize(ctx, c)
			got := one()
			if err != nil || size < len(got[0]) {
				t.Fatalf("a message of %d bytes was announced with %d, %v", len(got[0]), size, err)
			}
			return got
		}
		turn := 0
		for _, way := range [][]func() [][]byte{{one}, {batch}, {one, one, batch}, {asked}, {batch, asked, one}} {
			for _, s := range sends {
				data := marked(s.total)
				sendJoined(t, peer, data, s.size)
				want := pieces(data, s.size)
				for len(want) > 0 {
					got := way[turn%len(way)]()
					turn++
					for _, m := range got {
						if len(want) == 0 || !bytes.Equal(m, want[0]) {
							t.Fatalf("%d bytes in pieces of %d: got %d bytes where %d pieces are left, or others", s.total, s.size, len(m), len(want))
						}
						want = want[1:]
					}
				}
			}
		}
	})
}

// Several packets that wait are read at once, and still each datagram is itself, and none is out of turn.
func TestJoinedDatagramsWaiting(t *testing.T) {
	eachJoined(t, func(ctx context.Context, t *testing.T, c tincan.MessageConn, peer *net.UDPConn) {
		var b tincan.Batch
		defer b.Release()
		var want [][]byte
		for round := range 3 { // the first is there before the kernel is asked to join
			for i, size := range []int{100, 0, 7, 7, 0, 300, 100} {
				data := bytes.Repeat([]byte{byte(16*round + i)}, 5*size)
				sendJoined(t, peer, data, size)
				want = append(want, pieces(data, size)...)
			}
			for len(want) > 0 {
				if err := tincan.ReadBatch(ctx, c, &b, 0); err != nil {
					t.Fatal(err)
				}
				for _, m := range b.Messages() {
					if !bytes.Equal(m, want[0]) {
						t.Fatalf("round %d: got %d bytes of %x, want %d of %x", round, len(m), m[:min(1, len(m))], len(want[0]), want[0][:min(1, len(want[0]))])
					}
					want = want[1:]
				}
			}
		}
	})
}

// A buffer that is too short for one datagram costs that one alone, also among joined ones.
func TestJoinedDatagramsShortBuffer(t *testing.T) {
	eachJoined(t, func(ctx context.Context, t *testing.T, c tincan.MessageConn, peer *net.UDPConn) {
		var b tincan.Batch
		sendJoined(t, peer, marked(1), 0)
		if err := tincan.ReadBatch(ctx, c, &b, 0); err != nil { // the kernel may join from here
			t.Fatal(err)
		}
		b.Release()
		sendJoined(t, peer, marked(3*100+10), 100)
		var got []string
		for range 4 {
			n, err := c.ReadMessage(ctx, make([]byte, 50))
			got = append(got, fmt.Sprint(n, errors.Is(err, io.ErrShortBuffer)))
		}
		if want := "[0 true 0 true 0 true 10 false]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// What was read along with another message is gone with Close, and stays when a context ends.
func TestJoinedDatagramsClose(t *testing.T) {
	eachJoined(t, func(ctx context.Context, t *testing.T, c tincan.MessageConn, peer *net.UDPConn) {
		var b tincan.Batch
		sendJoined(t, peer, marked(1), 0)
		if err := tincan.ReadBatch(ctx, c, &b, 0); err != nil {
			t.Fatal(err)
		}
		b.Release()
		sendJoined(t, peer, marked(400), 100)
		buf := make([]byte, 100)
		for range 2 {
			if n, err := c.ReadMessage(ctx, buf); n != 100 || err != nil {
				t.Fatalf("read %d bytes, %v", n, err)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := c.ReadMessage(ended, buf); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		if n, err := c.ReadMessage(ctx, buf); n != 100 || err != nil {
			t.Errorf("then %d bytes, %v", n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for name, call := range map[string]func() error{
			"ReadMessage":  func() error { _, err := c.ReadMessage(ctx, buf); return err },
			"ReadBatch":    func() error { return tincan.ReadBatch(ctx, c, &b, 0) },
			"WaitReadable": func() error { return tincan.WaitReadable(ctx, c) },
			"NextSize":     func() error { _, err := tincan.NextSize(ctx, c); return err },
		} {
			if err := call(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
	})
}
