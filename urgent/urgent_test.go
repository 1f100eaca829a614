//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package urgent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/urgent"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// connect gives both ends of a connection to endpoint.
func connect(t *testing.T, endpoint string) (client, server net.Conn) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = tincan.Dial(t.Context(), l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func newReader(t *testing.T, c tincan.Conn) *urgent.Reader {
	t.Helper()
	r, err := urgent.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// transcript receives to the end and writes each marked byte in brackets.
func transcript(t *testing.T, r *urgent.Reader, size int) string {
	t.Helper()
	var b strings.Builder
	p := make([]byte, size)
	for {
		n, marked, err := r.Receive(p)
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if marked {
			if n != 1 {
				t.Errorf("%d bytes came with the mark", n)
			}
			fmt.Fprintf(&b, "[%s]", p[:n])
			continue
		}
		b.Write(p[:n])
	}
}

// fionread asks how many bytes are there to be read: sockio.h of the BSDs, asm-generic/ioctls.h of Linux.
var fionread uint = 0x4004667f

func init() {
	if runtime.GOOS == "linux" {
		fionread = 0x541b
	}
}

// arrived waits until n bytes are there to be read from c.
func arrived(t *testing.T, c net.Conn, n int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool {
		there, err := unix.IoctlGetInt(int(fd), fionread)
		return err != nil || there >= n
	}); err != nil {
		t.Fatal(err)
	}
}

func TestMark(t *testing.T) {
	for _, tt := range []struct {
		name     string
		endpoint string
		send     string // bytes in brackets with the mark
		want     string
	}{
		{"in the middle", "tcp4://:0", "ab[!]cd", "ab[!]cd"},
		{"first", "tcp4://:0", "[!]cd", "[!]cd"},
		{"last", "tcp4://:0", "ab[!]", "ab[!]"},
		{"several: the last counts", "tcp4://:0", "a[1]b[2]c[3]d", "a1b2c[3]d"},
		{"one after the other", "tcp4://:0", "[1][2][3]", "12[3]"},
		{"none", "tcp4://:0", "abcd", "abcd"},
		{"IPv6", "tcp6://:0", "ab[!]cd", "ab[!]cd"},
		{"through a wrapper", "tcp4://:0?max-conns=9", "ab[!]cd", "ab[!]cd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.endpoint, "tcp6") && !nettest.SupportsIPv6() {
				t.Skip("this host has no IPv6")
			}
			for _, size := range []int{1, 2, 100} {
				c, s := connect(t, tt.endpoint)
				r := newReader(t, s)
				for rest := tt.send; rest != ""; {
					var err error
					if rest[0] == '[' {
						err = urgent.Send(c, rest[1])
						rest = rest[3:]
					} else {
						_, err = io.WriteString(c, rest[:1])
						rest = rest[1:]
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if _, bare := s.(syscall.Conn); bare {
					arrived(t, s, len(strings.NewReplacer("[", "", "]", "").Replace(tt.send)))
				}
				if err := tincan.CloseWrite(c); err != nil {
					t.Fatal(err)
				}
				if got := transcript(t, r, size); got != tt.want {
					t.Errorf("by %d bytes: got %s, want %s", size, got, tt.want)
				}
			}
		})
	}
}

// No byte is lost, moved or marked wrongly while marks arrive under the reader's hands.
func TestMarksUnderLoad(t *testing.T) {
	c, s := connect(t, "tcp4://:0")
	r := newReader(t, s)
	const rounds = 3000
	chunk := bytes.Repeat([]byte("x"), 700)
	sent := make(chan error, 1)
	go func() {
		sent <- func() error {
			for i := range rounds {
				if _, err := c.Write(chunk[:i*37%len(chunk)]); err != nil {
					return err
				}
				if err := urgent.Send(c, '!'); err != nil {
					return err
				}
			}
			return tincan.CloseWrite(c)
		}()
	}()
	var want strings.Builder
	for i := range rounds {
		want.Write(chunk[:i*37%len(chunk)])
		want.WriteByte('!')
	}
	got := transcript(t, r, 4096)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "[x]") {
		t.Error("a byte is marked that was sent without a mark")
	}
	if !strings.Contains(got, "[!]") {
		t.Error("no mark arrived at all")
	}
	if strings.NewReplacer("[", "", "]", "").Replace(got) != want.String() {
		t.Error("other bytes arrived than were sent")
	}
}

// A mark that arrives just as Receive looks must show: no other follows that could take its place.
func TestMarkNeverMissed(t *testing.T) {
	c, s := connect(t, "tcp4://:0")
	r := newReader(t, s)
	const rounds = 5000
	received := make(chan struct{}, 1)
	sent := make(chan error, 1)
	go func() {
		for range rounds {
			if err := urgent.Send(c, '!'); err != nil {
				sent <- err
				return
			}
			<-received
		}
		sent <- nil
	}()
	p := make([]byte, 10)
	missed := 0
	for range rounds {
		n, marked, err := r.Receive(p)
		if n != 1 || err != nil {
			t.Fatalf("Receive: %d, %v", n, err)
		}
		if !marked {
			missed++
		}
		received <- struct{}{}
	}
	if missed > 0 {
		t.Errorf("%d of %d marks were missed", missed, rounds)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestPending(t *testing.T) {
	c, s := connect(t, "tcp4://:0")
	r := newReader(t, s)
	want := func(want bool) {
		t.Helper()
		if got, err := r.Pending(); got != want || err != nil {
			t.Errorf("Pending: %v, %v; want %v", got, err, want)
		}
	}
	want(false)
	if _, err := io.WriteString(c, "abc"); err != nil {
		t.Fatal(err)
	}
	arrived(t, s, 3)
	want(false)
	if err := urgent.Send(c, '!'); err != nil {
		t.Fatal(err)
	}
	arrived(t, s, 4)
	want(true)
	p := make([]byte, 10)
	if n, marked, err := r.Receive(p); n != 3 || marked || err != nil {
		t.Errorf("Receive: %d, %v, %v; want the 3 bytes before the mark", n, marked, err)
	}
	want(true)
	if n, marked, err := r.Receive(p); n != 1 || !marked || err != nil {
		t.Errorf("Receive: %d, %v, %v; want the marked byte", n, marked, err)
	}
	want(false)
}

func TestReceiveEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(c, peer net.Conn) error
		kind tincan.ErrorKind
		want error // nil: of the kind alone
	}{
		{"end", func(_, peer net.Conn) error { return peer.Close() }, tincan.KindNone, io.EOF},
		{"reset", func(_, peer net.Conn) error { return tincan.Abort(peer) }, tincan.KindReset, nil},
		{"deadline", func(c, _ net.Conn) error { return c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) }, tincan.KindTimeout, os.ErrDeadlineExceeded},
		{"closed", func(c, _ net.Conn) error { return c.Close() }, tincan.KindOther, net.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, peer := connect(t, "tcp4://:0")
			r := newReader(t, c)
			result := make(chan error, 1)
			go func() {
				_, _, err := r.Receive(make([]byte, 1))
				result <- err
			}()
			if err := tt.do(c, peer); err != nil {
				t.Fatal(err)
			}
			err := <-result
			if tincan.KindOf(err) != tt.kind || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v (kind %v), want %v (kind %v)", err, tincan.KindOf(err), tt.want, tt.kind)
			}
		})
	}
	c, _ := connect(t, "tcp4://:0")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := urgent.Send(c, '!'); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send after Close: %v, want net.ErrClosed", err)
	}
}

func TestUnsupported(t *testing.T) {
	unixClient, _ := connect(t, "unix://"+filepath.Join(t.TempDir(), "s"))
	memClient, _ := connect(t, "mem:urgent-unsupported")
	tcp, _ := connect(t, "tcp4://:0")
	for name, c := range map[string]net.Conn{"unix": unixClient, "mem": memClient, "layer": layer{tcp}} {
		if err := urgent.Send(c, '!'); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: Send: %v, want ErrUnsupported", name, err)
		}
		if _, err := urgent.NewReader(c); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: NewReader: %v, want ErrUnsupported", name, err)
		}
	}
}

// layer is what a TLS connection looks like.
type layer struct{ net.Conn }

func (l layer) NetConn() net.Conn { return l.Conn }

// The old way to interrupt a peer: it discards what it has not handled yet, up to the mark.
func Example() {
	ctx := context.Background()
	l, err := tincan.Listen(ctx, "tcp4://:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	c, err := tincan.Dial(ctx, l.Addr().String())
	if err != nil {
		panic(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		panic(err)
	}
	defer peer.Close()
	r, err := urgent.NewReader(peer)
	if err != nil {
		panic(err)
	}

	_, _ = io.WriteString(c, "a long job")
	_ = urgent.Send(c, '!')
	_, _ = io.WriteString(c, "what now?")
	_ = tincan.CloseWrite(c)

	p := make([]byte, 100)
	for {
		n, marked, err := r.Receive(p)
		if err != nil {
			break
		}
		fmt.Printf("%q urgent=%v\n", p[:n], marked)
	}
	// Output:
	// "a long job" urgent=false
	// "!" urgent=true
	// "what now?" urgent=false
}
