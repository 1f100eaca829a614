package cli

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// TestRelayManyPeers: a relay holds 10,000 UDP peers, with a socket to TO for each, and every one gets the
// replies to its own datagrams. Unlike streams they need one descriptor each.
func TestRelayManyPeers(t *testing.T) {
	peers := 10_000
	if testing.Short() || raceDetector {
		peers = 500
	}
	echo := server(t, "tincan", "serve", "echo", "udp://127.0.0.1:0?max-flows=20000")
	relay := server(t, "tincan", "relay", "udp://127.0.0.1:0?max-flows=20000&flow-timeout=10m", echo.url)
	conns := make([]net.Conn, peers)
	for i := range conns {
		c, err := net.Dial("udp", relay.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	for round := range uint32(2) { // in the second all are there
		for i, c := range conns {
			asksUDP(t, c, uint32(i)<<1|round)
		}
		awaitDescriptors(t, relay.Process.Pid, func(n int) bool { return n > peers })
	}
}

// asksUDP sends number until the same comes back: any datagram may be lost.
func asksUDP(t *testing.T, c net.Conn, number uint32) {
	t.Helper()
	sent := binary.BigEndian.AppendUint32(nil, number)
	got := make([]byte, 64)
	for range 10 {
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(got)
		if err != nil {
			continue
		}
		if n == len(sent) && binary.BigEndian.Uint32(got) == number {
			return
		}
		if n != len(sent) || binary.BigEndian.Uint32(got)>>1 != number>>1 {
			t.Fatalf("a peer that sent %x got %x", sent, got[:n])
		}
	}
	t.Fatalf("no answer to %x", sent)
}
