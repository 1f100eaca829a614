package natsbridge

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan/pattern"
)

// The headers of this package. Those that begin as they or NATS's own do are never a message's part.
const (
	// headerParts has the lengths of a message's parts, with commas between them, where there isn't one part alone.
	headerParts = "Tincan-Parts"
	// headerVia has the bridges that a message has been through.
	headerVia = "Tincan-Via"
	// headerTimeout is how long who asks will wait, in milliseconds from when the request arrives.
	headerTimeout = "Tincan-Timeout"
	// headerError and headerErrorCode are those of NATS's own services (ADR-32).
	headerError     = "Nats-Service-Error"
	headerErrorCode = "Nats-Service-Error-Code"
)

var ownPrefixes = []string{"Tincan-", "Nats-"}

// headerLine begins headers on the wire (docs.nats.io, NATS Protocol, HPUB).
const headerLine = "NATS/1.0\r\n"

// setParts makes parts the payload and headers of m, which keeps no part when there is more than one.
// A last part that holds headers, and is exactly as partsOf writes them, becomes headers.
func setParts(m *nats.Msg, parts [][]byte) {
	if n := len(parts); n > 1 {
		if h, ok := parseHeaders(parts[n-1]); ok {
			parts = parts[:n-1]
			for key, values := range h {
				for _, v := range values {
					addHeader(m, key, v)
				}
			}
		}
	}
	if len(parts) == 1 {
		m.Data = parts[0]
		return
	}
	var lengths []byte
	for i, p := range parts {
		if i > 0 {
			lengths = append(lengths, ',')
		}
		lengths = strconv.AppendInt(lengths, int64(len(p)), 10)
	}
	addHeader(m, headerParts, string(lengths))
	m.Data = bytes.Join(parts, nil)
}

func addHeader(m *nats.Msg, key, value string) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header[key] = append(m.Header[key], value)
}

// partsOf gives the parts of m, which share its payload: those that setParts made it of, and its other headers
// as one more. The error is ErrFraming.
func partsOf(m *nats.Msg) ([][]byte, error) {
	parts := [][]byte{m.Data}
	if len(m.Header) == 0 {
		return parts, nil
	}
	if lengths, ok := m.Header[headerParts]; ok {
		var err error
		if parts, err = split(m.Data, lengths); err != nil {
			return nil, err
		}
	}
	if block := appendHeaders(nil, m.Header, isOwn); block != nil {
		parts = append(parts, block)
	}
	return parts, nil
}

func split(data []byte, lengths []string) ([][]byte, error) {
	if len(lengths) != 1 || strings.Count(lengths[0], ",") >= pattern.DefaultMaxParts {
		return nil, ErrFraming
	}
	var parts [][]byte
	if lengths[0] != "" {
		for text := range strings.SplitSeq(lengths[0], ",") {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil || n > uint64(len(data)) || text[0] == '+' {
				return nil, ErrFraming
			}
			parts = append(parts, data[:n:n])
			data = data[n:]
		}
	}
	if len(data) > 0 {
		return nil, ErrFraming
	}
	return parts, nil
}

func isOwn(key string) bool {
	return slices.ContainsFunc(ownPrefixes, func(p string) bool {
		return len(key) >= len(p) && strings.EqualFold(key[:len(p)], p)
	})
}

// appendHeaders appends h, without the keys that skip says, as it is on the wire, its keys in order. It gives dst where nothing is left, and leaves
// out what has no such form.
func appendHeaders(dst []byte, h nats.Header, skip func(string) bool) []byte {
	var keys []string // most messages have no others than are left out
	for key := range h {
		if !skip(key) && isKey(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	begun := false
	for _, key := range keys {
		for _, v := range h[key] {
			if !isValue(v) {
				continue
			}
			if !begun {
				dst, begun = append(dst, headerLine...), true
			}
			dst = append(append(append(append(dst, key...), ": "...), v...), "\r\n"...)
		}
	}
	if !begun {
		return dst
	}
	return append(dst, "\r\n"...)
}

// parseHeaders reads a part that holds headers. It is false for every one that appendHeaders would
// write otherwise, so that a part that only looks so arrives as it was, and for one with headers of this package or NATS's own.
func parseHeaders(part []byte) (nats.Header, bool) {
	text, ok := strings.CutPrefix(string(part), headerLine)
	if !ok {
		return nil, false
	}
	if text, ok = strings.CutSuffix(text, "\r\n\r\n"); !ok {
		return nil, false
	}
	h := nats.Header{}
	for line := range strings.SplitSeq(text, "\r\n") {
		key, value, ok := strings.Cut(line, ": ")
		if !ok || isOwn(key) {
			return nil, false
		}
		h[key] = append(h[key], value)
	}
	return h, bytes.Equal(appendHeaders(nil, h, isOwn), part)
}

// isKey reports whether a header may be called so: a token of RFC 9110, 5.6.2.
func isKey(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// isValue reports whether a header's value comes out of the wire as it went in.
func isValue(s string) bool {
	return strings.TrimSpace(s) == s && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// A framingError names the message whose parts are wrong.
func framingError(subject string, err error) error {
	if errors.Is(err, ErrFraming) {
		return fail("receive", subject, fmt.Errorf("a message of %s: %w", subject, err))
	}
	return err
}
