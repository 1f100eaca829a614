package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Errors of this package, to be tested with [errors.Is].
var (
	// ErrKey is a key that is empty, too long, not UTF-8 or has control characters.
	ErrKey = errors.New("not a key")
	// ErrValue is a value that is no JSON, not UTF-8 or too long.
	ErrValue = errors.New("not a value")
	// ErrFull is a state that has as many keys, or bytes, as it may.
	ErrFull = errors.New("the state is full")
	// ErrNotWritable is a change that a client asked for where the server does not let it.
	ErrNotWritable = errors.New("the state is not writable")
	// ErrProtocol is a peer that does not keep to the state protocol.
	ErrProtocol = errors.New("state protocol")
)

// A RemoteError is what a server answered a client's line with.
type RemoteError struct {
	// Message is its words.
	Message string
}

func (e *RemoteError) Error() string { return "the server says: " + e.Message }

// checkKey tells what is wrong with a key.
func checkKey(key string, limit int) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrKey)
	case len(key) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKey, len(key), limit)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: %q is not UTF-8", ErrKey, key)
	}
	for _, r := range key {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: %q has a control character", ErrKey, key)
		}
	}
	return nil
}

// encodeValue gives value as compact JSON, in memory of its own.
func encodeValue(value any, limit int) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	encoded := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	switch {
	case len(encoded) > limit:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrValue, len(encoded), limit)
	case !utf8.Valid(encoded):
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrValue)
	}
	return encoded, nil
}

// quote gives s, which is UTF-8, as a string of JSON.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
