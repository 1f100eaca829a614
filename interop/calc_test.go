//go:build linux

package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const maxUint32 = "4294967295"

// maxPower is 4294967295 to the 26th in decimal, of 251 digits: a result as text that
// fits, and more than any machine integer holds.
const maxPower = "28638903745106586454110951865497251655517093573433611204311180843205419062732962" +
	"73915038315881807802477252325451374236959905694516497476799736581463845873942274" +
	"90141278490151067268787901531730508265198571558533652259859823210199773922562599" +
	"18212890625"

// TestCalc asks for results of every kind through every pair, over IPv4 and IPv6, of
// servers that listen on every address of both.
func TestCalc(t *testing.T) {
	tests := []struct {
		name     string
		asString bool
		op       string
		integers []string
		want     string // empty: an error reply
	}{
		{"sum", false, "+", []string{"1", "3", "5", "7", "9"}, "25"},
		{"product", false, "*", []string{"1", "3", "5", "7", "9"}, "945"},
		{"product as text", true, "*", []string{"1", "3", "5", "7", "9"}, "945"},
		{"one integer", false, "*", []string{maxUint32}, maxUint32},
		{"sum of 64", false, "+", slices.Repeat([]string{"67108863"}, 64), "4294967232"},
		{"sum too large", false, "+", []string{maxUint32, "1"}, ""},
		{"sum as text", true, "+", []string{maxUint32, "1"}, "4294967296"},
		{"product too large", false, "*", []string{"65536", "65536"}, ""},
		{"product too large on the way", false, "*", []string{maxUint32, maxUint32, "0"}, "0"},
		{"product of 251 digits", true, "*", slices.Repeat([]string{maxUint32}, 26), maxPower},
		{"product of 261 digits", true, "*", slices.Repeat([]string{maxUint32}, 27), ""},
	}
	free := func(*testing.T) address { return address{host: "::", port: "0"} }
	everyPair(t, "calc", free, func(t *testing.T, client, _ party, at address) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				to := address{host: []string{"127.0.0.1", "::1"}[i%2], port: at.port}
				argv := client.calc(t, to, test.asString, test.op, test.integers...)
				if test.want != "" {
					wantSame(t, run(t, nil, argv...), client.calcOut+test.want+"\n")
					return
				}
				p := launch(t, "", bytes.NewReader(nil), argv)
				p.wantStatus(1)
				wantSame(t, p.out.String(), "")
				if p.err.String() == "" {
					t.Error("the client is silent about the error")
				}
			})
		}
	})
}

// TestCalcLost lets the network lose a datagram on either way: every client must ask
// again, and every server answer again.
func TestCalcLost(t *testing.T) {
	everyPair(t, "calc", func(*testing.T) address { return tcpAt("0") },
		func(t *testing.T, client, _ party, at address) {
			for _, lose := range []string{"request", "reply"} {
				t.Run(lose, func(t *testing.T) {
					network := newLossyNetwork(t, at, lose)
					got := run(t, nil, client.calc(t, network.at, false, "+", "20", "22")...)
					wantSame(t, got, client.calcOut+"42\n")
					if n := network.requests.Load(); n < 2 {
						t.Errorf("the client asked %d times, want 2 at least", n)
					}
				})
			}
		})
}

// A lossyNetwork stands between one calculator's client and its server, and loses the
// first datagram of one direction.
type lossyNetwork struct {
	at       address // for the client
	requests atomic.Int64
}

func newLossyNetwork(t *testing.T, server address, lose string) *lossyNetwork {
	t.Helper()
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	far := dialUDP(t, server)
	n := &lossyNetwork{at: parseURL(t, "udp://"+near.LocalAddr().String())}
	var client atomic.Pointer[net.UDPAddr]
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 1<<16)
		for {
			size, from, err := near.ReadFromUDP(buf)
			if err != nil {
				return // the test has ended
			}
			client.Store(from)
			if n.requests.Add(1) > 1 || lose != "request" {
				_, _ = far.Write(buf[:size])
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 1<<16)
		for replies := 1; ; replies++ {
			size, err := far.Read(buf)
			if err != nil {
				return
			}
			if replies > 1 || lose != "reply" {
				_, _ = near.WriteToUDP(buf[:size], client.Load())
			}
		}
	}()
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
		<-done
		<-done
	})
	return n
}

func dialUDP(t *testing.T, at address) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort(at.host, at.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	setDeadline(t, c)
	return c
}

// TestCalcRefused dials a port that nobody holds, which ICMP tells the client.
func TestCalcRefused(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := parseURL(t, "udp://"+c.LocalAddr().String())
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, client := range parties {
		t.Run(client.name, func(t *testing.T) {
			p := launch(t, "", bytes.NewReader(nil), client.calc(t, at, false, "+", "1"))
			p.wantStatus(max(1, client.refused))
			if err := strings.ToLower(p.err.String()); !strings.Contains(err, "refused") &&
				!strings.Contains(err, "unreachable") { // as Java calls it
				t.Errorf("stderr %q does not tell that the port is refused", err)
			}
		})
	}
}

// TestCalcUsage gives integers that are none: no client may send them.
func TestCalcUsage(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	at := parseURL(t, "udp://"+silent.LocalAddr().String())
	for _, client := range parties {
		for _, bad := range []string{"4294967296", "99999999999999999999999", "1.5", "0x10", "one", ""} {
			t.Run(fmt.Sprintf("%s %q", client.name, bad), func(t *testing.T) {
				p := launch(t, "", bytes.NewReader(nil), client.calc(t, at, false, "+", "1", bad))
				p.wantStatus(2)
			})
		}
	}
}

// TestCalcWire sends datagrams, good and bad, to every server.
func TestCalcWire(t *testing.T) {
	integers := func(header byte, v ...uint32) []byte {
		b := []byte{header}
		for _, v := range v {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	tests := []struct {
		name    string
		request []byte
		want    []byte // the result; nil: an error
	}{
		{"sum", integers(0, 1, 2), []byte{0, 0, 0, 3}},
		{"big-endian", integers(0, 0x01020304), []byte{1, 2, 3, 4}},
		{"product", integers(2, 6, 7), []byte{0, 0, 0, 42}},
		{"sum as text", integers(1, 1, 2), []byte("3")},
		{"product as text", integers(3, 6, 7), []byte("42")},
		{"high bits are ignored", integers(0xf0|3, 6, 7), []byte("42")},
		{"64 integers", integers(0, make([]uint32, 64)...), []byte{0, 0, 0, 0}},
		{"65 integers", integers(0, make([]uint32, 65)...), nil},
		{"the largest datagram", make([]byte, 65507), nil},
		{"no integers", integers(0), nil},
		{"opcode 2", integers(2<<1, 1), nil},
		{"opcode 7 as text", integers(7<<1|1, 1), nil},
		{"a length of 1 + 3", []byte{0, 1, 2, 3}, nil},
		{"a length of 1 + 5", []byte{0, 1, 2, 3, 4, 5}, nil},
		{"too large", integers(0, 1<<31, 1<<31), nil},
	}
	for _, server := range parties {
		t.Run(server.name, func(t *testing.T) {
			c := dialUDP(t, server.serve(t, "calc", tcpAt("0")))
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					// An empty datagram is never answered: the reply that comes is the other's.
					for _, datagram := range [][]byte{nil, test.request} {
						if _, err := c.Write(datagram); err != nil {
							t.Fatal(err)
						}
					}
					buf := make([]byte, 1<<16)
					n, err := c.Read(buf)
					if err != nil {
						t.Fatal(err)
					}
					if n < 1 || n > 1+256 {
						t.Fatalf("a reply of %d bytes, want 1 to 257", n)
					}
					success, payload := buf[0]&0x80 != 0, buf[1:n]
					if success != (test.want != nil) {
						t.Fatalf("success %v, payload %q, want success %v", success, payload, !success)
					}
					if success && !bytes.Equal(payload, test.want) {
						t.Errorf("result %q, want %q", payload, test.want)
					}
					if !success && bytes.ContainsFunc(payload, func(r rune) bool { return r < ' ' || r > '~' }) {
						t.Errorf("reason %q, want printable ASCII", payload)
					}
				})
			}
		})
	}
}
