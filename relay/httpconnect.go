package relay

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// maxHTTPHeader bounds the header of a proxy's answer in bytes.
const maxHTTPHeader = 16 << 10

// httpConnect has the proxy at the other end of c connect to host. It reads the header of its answer and no byte more.
func (p *Proxy) httpConnect(c net.Conn, host string, port int) error {
	authority := net.JoinHostPort(host, strconv.Itoa(port))
	request := "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\nUser-Agent: tincan\r\n"
	if p.hasUser {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password)) + "\r\n" // RFC 7617
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return err
	}
	for most := maxHTTPHeader; ; {
		header, err := readHTTPHeader(c, most)
		if err != nil {
			return p.broken(err)
		}
		status, reason, err := parseStatusLine(header)
		switch {
		case err != nil:
			return p.broken(err)
		case status < 200: // it announces another answer (RFC 9110 §15.2)
			most -= len(header)
			continue
		case status < 300:
			return nil
		}
		failed := &ProxyError{Proxy: p.String(), Status: status, Reason: reason}
		if status == 407 || status == 403 {
			failed.Err = refused
		} // A 504 says little: some proxies answer so whatever has failed.
		return failed
	}
}

// readHTTPHeader reads up to the empty line that ends a header, which has at
// most so many bytes, and never beyond: what follows are the target's own bytes.
// So it can ask for no more than what the header lacks at the very least.
func readHTTPHeader(r io.Reader, most int) ([]byte, error) {
	header := make([]byte, 0, 256)
	for {
		lack := 2 // two line feeds: their carriage returns may be missing (RFC 9112 §2.2)
		switch {
		case len(header) < len("HTTP/1.1 200"):
			lack = len("HTTP/1.1 200") - len(header)
		case bytes.HasSuffix(header, []byte("\n\n")), bytes.HasSuffix(header, []byte("\n\r\n")):
			return header, nil
		case bytes.HasSuffix(header, []byte("\n")), bytes.HasSuffix(header, []byte("\n\r")):
			lack = 1
		}
		if len(header)+lack > most {
			return nil, fmt.Errorf("the header of its answer has more than %d bytes", maxHTTPHeader)
		}
		at := len(header)
		header = append(header, make([]byte, lack)...)
		n, err := r.Read(header[at:])
		header = header[:at+n]
		if err != nil && n == 0 {
			return nil, cutShort(err)
		}
		if at < len("HTTP/") && !bytes.HasPrefix([]byte("HTTP/"), header[:min(len(header), len("HTTP/"))]) {
			return nil, errNotHTTP // without waiting for lines that may never come
		}
	}
}

var errNotHTTP = errors.New("it does not speak HTTP")

// parseStatusLine reads the first line of an answer (RFC 9112 §4). The reason is as it can be shown to people.
func parseStatusLine(header []byte) (status int, reason string, err error) {
	line, _, _ := strings.Cut(string(header), "\n")
	version, rest, _ := strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	if !strings.HasPrefix(version, "HTTP/1.") {
		return 0, "", errNotHTTP
	}
	code, reason, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 100 {
		return 0, "", fmt.Errorf("its answer has the status %.20q", code)
	}
	reason = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, reason))
	if len(reason) > 200 {
		reason = strings.ToValidUTF8(reason[:200], "")
	}
	if reason == "" {
		reason = "it did not connect"
	}
	return status, reason, nil
}
