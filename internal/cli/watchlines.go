package cli

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// watchLines writes updates as lines: the protocol's, or words.
type watchLines struct {
	w     io.Writer
	json  bool
	known map[string]uint64 // what values were written, as fingerprints; nil before the first snapshot
	room  keyRoom           // of known: a key without is taken for new after a connection was lost
}

var fingerprints = maphash.MakeSeed()

func fingerprint(value json.RawMessage) uint64 { return maphash.Bytes(fingerprints, value) }

// changeTime is how a change's time is written, as the protocol has it.
const changeTime = "2006-01-02T15:04:05.000Z"

// write writes an update, in one write.
func (l *watchLines) write(u state.Update) error {
	var text []byte
	switch {
	case l.json:
		text = append(harmlessJSON(updateLine(u)), '\n')
	case u.Snapshot != nil:
		text = l.snapshot(u.Snapshot)
	default:
		text = l.change(nil, u.Change.Time, u.Change.Key, u.Change.Value)
	}
	_, err := l.w.Write(text)
	return err
}

// snapshot gives the lines of the first snapshot, which are all of it. Those of one that comes after a connection
// was lost are what is no longer as it was: changes that nobody told of, so they have the time of now.
func (l *watchLines) snapshot(s *state.Snapshot) (text []byte) {
	now := time.Now()
	if l.known == nil {
		l.known = make(map[string]uint64, len(s.Values))
		for _, key := range slices.Sorted(maps.Keys(s.Values)) {
			text = l.line(text, key, s.Values[key])
		}
		return text
	}
	for _, key := range slices.Sorted(maps.Keys(l.known)) {
		if s.Values[key] == nil {
			text = l.change(text, now, key, nil)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Values)) {
		if value, ok := l.known[key]; !ok || value != fingerprint(s.Values[key]) {
			text = l.change(text, now, key, s.Values[key])
		}
	}
	return text
}

// change appends the line of a change: its time, and the key with its value, which is nil where it was deleted.
func (l *watchLines) change(text []byte, at time.Time, key string, value json.RawMessage) []byte {
	text = at.UTC().AppendFormat(text, changeTime+" ")
	if value != nil {
		return l.line(text, key, value)
	}
	if _, known := l.known[key]; known {
		delete(l.known, key)
		l.room.leave(key)
	}
	return append(append(text, harmless(key)...), " deleted\n"...)
}

// line appends KEY=VALUE, as serve notify reads it.
func (l *watchLines) line(text []byte, key string, value json.RawMessage) []byte {
	if _, known := l.known[key]; known || l.room.take(key) {
		l.known[key] = fingerprint(value)
	}
	text = append(append(text, harmless(key)...), '=')
	return append(append(text, valueLine(value)...), '\n')
}

// updateLine gives the protocol's line of an update.
func updateLine(u state.Update) []byte {
	var object any
	if s := u.Snapshot; s != nil {
		object = struct {
			Seq      uint64                     `json:"seq"`
			Snapshot map[string]json.RawMessage `json:"snapshot"`
		}{s.Seq, s.Values}
	} else {
		object = struct {
			Seq     uint64          `json:"seq"`
			Time    string          `json:"time"`
			Key     string          `json:"key"`
			Value   json.RawMessage `json:"value,omitempty"`
			Deleted bool            `json:"deleted,omitempty"`
			Missed  uint64          `json:"missed,omitempty"`
		}{u.Change.Seq, u.Change.Time.UTC().Format(changeTime), u.Change.Key, u.Change.Value, u.Change.Deleted(), u.Change.Missed}
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		panic(err) // the values are JSON: they were read as such
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n"))
}
