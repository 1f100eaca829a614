package relay

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// Each decoder is given all at once and byte by byte, and must find the same in both and take the same bytes: what
// follows is not its own.

func FuzzReadHeader(f *testing.F) {
	v2 := "\r\n\r\n\x00\r\nQUIT\n"
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nrest", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n\r\n", "PROXY UNKNOWN\r\nPROXY",
		v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbbrest", v2 + "\x20\x00\x00\x00rest",
		v2 + "\x21\x11\xff\xff", "GET / HTTP/1.1\r\n\r\n", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, piecemeal := bytes.NewReader(in), bytes.NewReader(in)
		got, err := readHeader(whole)
		again, errAgain := readHeader(iotest.OneByteReader(piecemeal))
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("%v at once, %v piecemeal", err, errAgain)
		}
		if taken := len(in) - whole.Len(); taken > mostHeader {
			t.Fatalf("took %d bytes", taken)
		}
		if err != nil {
			return
		}
		if whole.Len() != piecemeal.Len() || text(got.source) != text(again.source) || text(got.destination) != text(again.destination) {
			t.Fatalf("%v and %d bytes left at once, %v and %d piecemeal", got, whole.Len(), again, piecemeal.Len())
		}
		// It was the shortest that is a header.
		if _, err := readHeader(bytes.NewReader(in[:len(in)-whole.Len()-1])); err == nil {
			t.Fatal("a shorter one would do")
		}
	})
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.Network() + " " + a.String()
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\n\r\nrest", "HTTP/1.0 407 Who?\r\nProxy-Authenticate: Basic\r\n\r\n", "HTTP/1.1 204\n\nrest", "HTTP/1.1 200 OK\n\r\nx",
		"HTTP/1.1 200 OK\r\nA: b\n\n", "SSH-2.0", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, piecemeal := bytes.NewReader(in), bytes.NewReader(in)
		header, err := readHTTPHeader(whole, maxHTTPHeader)
		again, errAgain := readHTTPHeader(iotest.OneByteReader(piecemeal), maxHTTPHeader)
		if (err == nil) != (errAgain == nil) || !bytes.Equal(header, again) {
			t.Fatalf("%q, %v at once, %q, %v piecemeal", header, err, again, errAgain)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(whole)
		if len(header) > maxHTTPHeader || !bytes.Equal(append(bytes.Clone(header), rest...), in) {
			t.Fatalf("%q and %q of %q", header, rest, in)
		}
		tail := header[min(len(header), len("HTTP/1.1 200")):]
		for _, end := range []string{"\n\n", "\n\r\n"} {
			if i := bytes.Index(tail, []byte(end)); i >= 0 && i+len(end) < len(tail) {
				t.Fatalf("%q goes beyond its end", header)
			}
		}
		if status, reason, err := parseStatusLine(header); err == nil && (status < 100 || status > 999 || len(reason) > 200) {
			t.Fatalf("status %d, reason %q", status, reason)
		}
	})
}

func FuzzSocksReply(f *testing.F) {
	for _, seed := range []string{
		"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest", "\x05\x00\x00\x03\x02hi\x00\x50rest", "\x05\x05\x00\x04" + "0123456789abcdef\x00\x50",
		"\x05\x01\x00\x09x", "\x04", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, piecemeal := bytes.NewReader(in), bytes.NewReader(in)
		code, err := readSocksReply(whole)
		again, errAgain := readSocksReply(iotest.OneByteReader(piecemeal))
		if code != again || (err == nil) != (errAgain == nil) || whole.Len() != piecemeal.Len() {
			t.Fatalf("%d, %v at once, %d, %v piecemeal", code, err, again, errAgain)
		}
		if err != nil {
			return
		}
		want := map[byte]int{socksIPv4: 10, socksIPv6: 22, socksName: 7 + int(in[4])}[in[3]]
		if taken := len(in) - whole.Len(); code == 0 && taken != want {
			t.Fatalf("took %d bytes of %q, want %d", taken, in, want)
		}
	})
}
