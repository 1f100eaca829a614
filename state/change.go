package state

import (
	"encoding/json"
	"maps"
	"time"
)

// A Change is one change of one key.
type Change struct {
	// Seq counts the changes of the whole state, from 1.
	Seq uint64
	// Time is when the state changed, by the provider's clock.
	Time time.Time
	// Key is the name of what changed.
	Key string
	// Value is the new value as JSON, nil where the key was deleted. (The JSON null is a value: "null".)
	// It may be shared and must not be changed.
	Value json.RawMessage
	// Missed is how many changes before this one this follower was not told of, since it was last told: they were conflated
	// with later ones of their keys. One that follows some prefixes counts the changes of those keys alone, and
	// is told at the latest with the change that brings it up to date.
	Missed uint64
}

// Deleted reports whether the key was deleted.
func (c *Change) Deleted() bool { return c.Value == nil }

// A Snapshot is the whole state, or the part of it that has some prefixes, as it was after the change Seq.
type Snapshot struct {
	// Seq is the last change that Values has.
	Seq uint64
	// Values are the values by their keys, as JSON. They may be shared and must not be changed; the map is the caller's.
	Values map[string]json.RawMessage
}

// Apply makes s what it is after u: it takes u's snapshot for its own, or sets or deletes one key.
func (s *Snapshot) Apply(u Update) {
	switch {
	case u.Snapshot != nil:
		s.Seq, s.Values = u.Snapshot.Seq, maps.Clone(u.Snapshot.Values)
		return
	case u.Change == nil:
		return
	case u.Change.Deleted():
		delete(s.Values, u.Change.Key)
	default:
		if s.Values == nil {
			s.Values = map[string]json.RawMessage{}
		}
		s.Values[u.Change.Key] = u.Change.Value
	}
	s.Seq = u.Change.Seq
}

// An Update is what a follower is told: a snapshot, which replaces all that it knew, or a change.
// Exactly one is not nil.
type Update struct {
	Snapshot *Snapshot
	Change   *Change
}

// timeFormat is RFC 3339 in UTC, to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z"

// A change is one of a table's log. It does not change once it is there, and all followers share it.
type change struct {
	seq    uint64
	at     time.Time
	key    string
	quoted []byte          // the key in JSON, a part of line
	value  json.RawMessage // a part of line; nil where the key was deleted
	line   []byte          // the change object, without the brace that ends it
}

// appendTo appends the whole change object.
func (c *change) appendTo(dst []byte, missed uint64) []byte {
	dst = append(dst, c.line...)
	if missed > 0 {
		dst = append(dst, `,"missed":`...)
		dst = appendUint(dst, missed)
	}
	return append(dst, '}')
}

// told is c as a follower is told of it.
func (c *change) told(missed uint64) *Change {
	return &Change{Seq: c.seq, Time: c.at, Key: c.key, Value: c.value, Missed: missed}
}

// newChange encodes a change: once for all who are told of it. quoted is the key in JSON.
func newChange(seq uint64, at time.Time, key string, quoted, value []byte) *change {
	const fixed = len(`{"seq":18446744073709551615,"time":"2006-01-02T15:04:05.000Z","key":,"deleted":true`)
	c := &change{seq: seq, at: at, key: key}
	line := make([]byte, 0, fixed+len(quoted)+len(value))
	line = append(line, `{"seq":`...)
	line = appendUint(line, seq)
	line = append(line, `,"time":"`...)
	line = at.AppendFormat(line, timeFormat)
	line = append(line, `","key":`...)
	begin := len(line)
	line = append(line, quoted...)
	c.quoted = line[begin:len(line):len(line)]
	if value == nil {
		c.line = append(line, `,"deleted":true`...)
		return c
	}
	line = append(line, `,"value":`...)
	begin = len(line)
	c.line = append(line, value...)
	c.value = c.line[begin:len(c.line):len(c.line)]
	return c
}
