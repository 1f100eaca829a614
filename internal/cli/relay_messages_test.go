package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// udpPeer is a socket from which datagrams are sent to a relay.
func udpPeer(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// asks sends a datagram and checks the answer.
func asks(t *testing.T, c net.Conn, question, want string) {
	t.Helper()
	if _, err := c.Write([]byte(question)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
		t.Fatalf("asked %d bytes, got %d bytes, %v; want %d", len(question), n, err, len(want))
	}
}

// TestRelayDatagrams: each peer gets its own replies, and datagrams of every size arrive as they are.
func TestRelayDatagrams(t *testing.T) {
	t.Parallel()
	// The server tells each of its peers, which are the relay's, by its port.
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ports := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			ports <- from.String()
			_, _ = server.WriteTo(buf[:n], from)
		}
	}()
	defer func() { _ = server.Close(); <-done }()
	relay := relayServer(t, "udp://127.0.0.1:0", "udp://"+server.LocalAddr().String())
	a, b := udpPeer(t, relay.address()), udpPeer(t, relay.address())
	port := func(c net.Conn, question string) string {
		t.Helper()
		asks(t, c, question, question)
		return <-ports
	}
	portA, portB := port(a, "a"), port(b, "b")
	if portA == portB {
		t.Error("two peers share one connection")
	}
	for _, size := range []int{0, 1, 1472, 1473, 65507} {
		for c, want := range map[net.Conn]string{a: portA, b: portB} {
			if got := port(c, strings.Repeat("x", size)); got != want {
				t.Errorf("%d bytes came by %s, want %s", size, got, want)
			}
		}
	}
	// A session that was silent expires: the peer's next datagram begins another.
	brief := relayServer(t, "udp://127.0.0.1:0?flow-timeout=300ms", "udp://"+server.LocalAddr().String())
	c := udpPeer(t, brief.address())
	portC := port(c, "c")
	for deadline := time.Now().Add(testPatience); ; {
		time.Sleep(400 * time.Millisecond) // the silence that is tested
		if port(c, "again") != portC {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session does not expire")
		}
	}
}

// TestRelayFramed: a stream's frames are datagrams, the empty one too; one
// that can't be sent is told, and the session lives.
func TestRelayFramed(t *testing.T) {
	t.Parallel()
	echo := server(t, "tincan", "serve", "echo", "udp://127.0.0.1:0")
	said, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.CommandContext(t.Context(), "tincan", "relay", "--frame", "len32", "tcp://127.0.0.1:0", echo.url)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	c := dialTCP(t, await(t, said.Name(), listeningLine))
	send := func(size int) {
		t.Helper()
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(size)), bytes.Repeat([]byte{'x'}, size)...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 0, 2, 65507} {
		send(size)
		got := make([]byte, 4+size)
		if _, err := io.ReadFull(c, got); err != nil || binary.BigEndian.Uint32(got) != uint32(size) {
			t.Fatalf("%d bytes came back as %x, %v", size, got[:4], err)
		}
	}
	send(65508)
	await(t, said.Name(), regexp.MustCompile(`dropped a message of 65508 bytes from 127.0.0.1:[0-9]+`))
	send(3)
	if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
		t.Errorf("the session did not live: %v", err)
	}
}

// TestRelayRefusedDatagrams: nobody at TO ends the peer's session, and no other.
func TestRelayRefusedDatagrams(t *testing.T) {
	t.Parallel()
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.LocalAddr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.CommandContext(t.Context(), "tincan", "relay", "udp://127.0.0.1:0", "udp://"+address)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := await(t, said.Name(), listeningLine)
	c := udpPeer(t, strings.TrimPrefix(url, "udp://"))
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, said.Name(), regexp.MustCompile(`client 127.0.0.1:[0-9]+: .*connection refused`))
	if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
		t.Error(err)
	}
}
