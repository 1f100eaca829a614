package ws_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// rawPeer speaks HTTP and WebSocket by hand, so that it can do it wrong.
type rawPeer struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dialRaw connects to what a ws listener listens on.
func dialRaw(t *testing.T, addr net.Addr) *rawPeer {
	t.Helper()
	under, _ := addr.(*tincan.Endpoint).Under()
	c, err := (&tincan.Dialer{}).DialEndpoint(ctx(t), under)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(timeout))
	return &rawPeer{c, t, bufio.NewReader(c)}
}

// request is a correct upgrade; headers are added to it or stand in for its own.
func request(path string, headers map[string]string) string {
	all := map[string]string{
		"Host": "localhost", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	}
	for k, v := range headers {
		all[k] = v
	}
	s := "GET " + path + " HTTP/1.1\r\n"
	for k, v := range all {
		if v != "" {
			s += fmt.Sprintf("%s: %s\r\n", k, v)
		}
	}
	return s + "\r\n"
}

func (p *rawPeer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *rawPeer) response() *http.Response {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	return resp
}

// upgrade sends a correct request; the answer waits for whoever reads.
func (p *rawPeer) upgrade(path string) {
	p.t.Helper()
	p.send(request(path, nil))
	p.t.Cleanup(func() { _ = p.Close() })
}

// mask builds a client's frame: first is the byte with FIN and opcode.
func (p *rawPeer) mask(first byte, body []byte) []byte {
	b := []byte{first}
	switch n := len(body); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	b = append(b, key[:]...)
	for i, c := range body {
		b = append(b, c^key[i%4])
	}
	return b
}

func (p *rawPeer) frame(first byte, body []byte) {
	p.t.Helper()
	if _, err := p.Write(p.mask(first, body)); err != nil {
		p.t.Fatal(err)
	}
}

// readFrame reads one of the server's frames, and before the first the answer to the request.
func (p *rawPeer) readFrame() (first byte, body []byte) {
	p.t.Helper()
	if b, err := p.r.Peek(4); err == nil && string(b) == "HTTP" {
		if resp := p.response(); resp.StatusCode != http.StatusSwitchingProtocols {
			p.t.Fatalf("status %d", resp.StatusCode)
		}
	}
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		p.t.Fatalf("no frame: %v", err)
	}
	length := uint64(head[1])
	switch length {
	case 126:
		var b [2]byte
		_, _ = io.ReadFull(p.r, b[:])
		length = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, _ = io.ReadFull(p.r, b[:])
		length = binary.BigEndian.Uint64(b[:])
	}
	body = make([]byte, length)
	if _, err := io.ReadFull(p.r, body); err != nil {
		p.t.Fatalf("a frame cut short: %v", err)
	}
	return head[0], body
}

// upgradeAnswer is a correct answer to the request.
func upgradeAnswer(request string) string {
	_, key, _ := strings.Cut(request, "Sec-Websocket-Key: ")
	key, _, _ = strings.Cut(key, "\r\n")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}
