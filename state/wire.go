package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxLine is the most bytes that a line of a client may have.
const MaxLine = 1 << 20

// appendSnapshot appends the snapshot object of list, sorted by key, which sorts list.
func appendSnapshot(dst []byte, seq uint64, list []*change) []byte {
	slices.SortFunc(list, func(a, b *change) int { return cmp.Compare(a.key, b.key) })
	size := len(`{"seq":18446744073709551615,"snapshot":{}}`)
	for _, c := range list {
		size += len(c.key) + len(c.value) + len(`"":,`)
	}
	dst = slices.Grow(dst, size)
	dst = append(dst, `{"seq":`...)
	dst = appendUint(dst, seq)
	dst = append(dst, `,"snapshot":{`...)
	for i, c := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.quoted...)
		dst = append(dst, ':')
		dst = append(dst, c.value...)
	}
	return append(dst, '}', '}')
}

// errorLine gives the error object of err.
func errorLine(err error) []byte {
	return append(append([]byte(`{"error":`), quote(string(bytes.ToValidUTF8([]byte(err.Error()), []byte("\uFFFD"))))...), '}')
}

// A request is what a client's line asks for: one of the two, or what is wrong with it.
type request struct {
	keys []string                   // not nil: to be told of these prefixes
	set  map[string]json.RawMessage // not nil: to set these
}

// parseRequest reads a client's line.
func parseRequest(line []byte) (request, error) {
	if !utf8.Valid(line) {
		return request{}, fmt.Errorf("%w: a line that is not UTF-8", ErrProtocol)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return request{}, fmt.Errorf("%w: a line that is no JSON object: %w", ErrProtocol, err)
	}
	var r request
	var err error
	switch {
	case len(members) == 1 && members["keys"] != nil:
		if err = json.Unmarshal(members["keys"], &r.keys); err == nil && r.keys == nil {
			err = errors.New("it is null")
		}
	case len(members) == 1 && members["set"] != nil:
		if err = json.Unmarshal(members["set"], &r.set); err == nil && r.set == nil {
			err = errors.New("it is null")
		}
	default:
		err = errors.New(`an object has either "keys", a list of prefixes, or "set", an object of values`)
	}
	if err != nil {
		return request{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return r, nil
}

// A message is what a server's line tells: an update, or an error.
type message struct {
	Seq      uint64                      `json:"seq"`
	Snapshot *map[string]json.RawMessage `json:"snapshot"`
	Time     time.Time                   `json:"time"`
	Key      *string                     `json:"key"`
	Value    json.RawMessage             `json:"value"`
	Deleted  bool                        `json:"deleted"`
	Missed   uint64                      `json:"missed"`
	Error    *string                     `json:"error"`
}

// parseUpdate reads a server's line. The error is a [*RemoteError] where that is what it tells.
func parseUpdate(line []byte) (Update, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return Update{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	switch {
	case m.Error != nil:
		return Update{}, &RemoteError{Message: *m.Error}
	case m.Snapshot != nil:
		values := *m.Snapshot
		if values == nil {
			values = map[string]json.RawMessage{}
		}
		return Update{Snapshot: &Snapshot{Seq: m.Seq, Values: values}}, nil
	case m.Key == nil:
		return Update{}, fmt.Errorf("%w: an object that is neither a snapshot nor a change", ErrProtocol)
	case m.Deleted == (m.Value != nil):
		return Update{}, fmt.Errorf("%w: a change of %q that has not one of value and deleted", ErrProtocol, *m.Key)
	}
	return Update{Change: &Change{Seq: m.Seq, Time: m.Time, Key: *m.Key, Value: m.Value, Missed: m.Missed}}, nil
}
