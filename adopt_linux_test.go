package tincan_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// setOption sets an option of s that is on or off.
func setOption(t *testing.T, s *net.UDPConn, level, option int) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }), err); err != nil {
		t.Fatal(err)
	}
}

// A socket may hold datagrams from before it was adopted, and give more with each than was asked for since: its
// peers have one flow each all the same, and the replies leave from the address that the peer sent to.
func TestAdoptMessageQueued(t *testing.T) {
	bound, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []int{unix.SO_TIMESTAMPNS, unix.SO_RXQ_OVFL} {
		setOption(t, bound, unix.SOL_SOCKET, option)
	}
	setOption(t, bound, unix.IPPROTO_IP, unix.IP_RECVTTL)
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: bound.LocalAddr().(*net.UDPAddr).Port}
	peer, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := peer.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	say := func(what string) {
		if _, err := peer.Write([]byte(what)); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	l, err := (*tincan.ListenConfig)(nil).AdoptMessage(bound)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	say("after")
	c := accept(t, l)
	if c.LocalAddr().String() != to.String() {
		t.Errorf("it was sent to %v, want %v", c.LocalAddr(), to)
	}
	for _, want := range []string{"before", "after"} {
		if got := read(t, c); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		write(t, c, want)
		buf := make([]byte, 10)
		if n, err := peer.Read(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("the peer got %q, %v", buf[:n], err)
		}
	}
}

// Datagrams that the kernel joins for somebody else can't be told apart for certain.
func TestAdoptMessageJoined(t *testing.T) {
	bound, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	setOption(t, bound, unix.SOL_UDP, unix.UDP_GRO)
	_, err = (*tincan.ListenConfig)(nil).AdoptMessage(bound)
	wantOpError(t, err, "listen", errors.ErrUnsupported)
	connected, err := net.DialUDP("udp", nil, bound.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	setOption(t, connected, unix.SOL_UDP, unix.UDP_GRO)
	_, err = tincan.AdoptMessageConn(connected)
	wantOpError(t, err, "dial", errors.ErrUnsupported)
}

// TestAdoptMessageConn: messages of any size pass, the empty one too, which of packets isn't the end.
func TestAdoptMessageConn(t *testing.T) {
	for name, kind := range map[string]int{"unixgram": unix.SOCK_DGRAM, "unixpacket": unix.SOCK_SEQPACKET} {
		fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		var ends [2]tincan.MessageConn
		for i, fd := range fds {
			f := os.NewFile(uintptr(fd), name)
			c, err := net.FileConn(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			if ends[i], err = tincan.AdoptMessageConn(c); err != nil {
				t.Fatal(err)
			}
			defer ends[i].Close()
		}
		for _, want := range []string{"", "hello", ""} {
			write(t, ends[0], want)
			if got := read(t, ends[1]); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
	l := listenMessage(t, nil, "udp://127.0.0.1:0")
	socket, err := net.Dial("udp", "127.0.0.1:"+l.Addr().(*tincan.Endpoint).Port)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tincan.AdoptMessageConn(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write(t, c, "ping")
	s := accept(t, l)
	if got := read(t, s); got != "ping" {
		t.Errorf("got %q", got)
	}
	// Nor is a foreign socket joined by reading several at once.
	write(t, s, "pong")
	var b tincan.Batch
	defer b.Release()
	if err := tincan.ReadBatch(t.Context(), c, &b, 0); err != nil || len(b.Messages()) != 1 || string(b.Messages()[0]) != "pong" {
		t.Fatalf("%q, %v", b.Messages(), err)
	}
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		t.Fatal(err)
	}
	var joins int
	if err := errors.Join(raw.Control(func(fd uintptr) { joins, err = unix.GetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO) }), err); err != nil || joins != 0 {
		t.Errorf("UDP_GRO is %d, %v", joins, err)
	}
}
