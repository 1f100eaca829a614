package cli

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan/state"
)

// What watch holds of a state is bounded, whatever a server sends.
const (
	maxRows     = 1 << 16
	maxRowKeys  = 64 << 20 // bytes, of all keys
	maxRowText  = 1 << 10  // bytes of a value that are kept to be shown
	historySize = 60       // numbers of a row's past
)

// A keyRoom is how many keys are held, and how many bytes they have.
type keyRoom struct{ keys, bytes int }

// take makes room for a key, and reports whether there was.
func (k *keyRoom) take(key string) bool {
	if k.keys >= maxRows || k.bytes+len(key) > maxRowKeys {
		return false
	}
	k.keys++
	k.bytes += len(key)
	return true
}

func (k *keyRoom) leave(key string) {
	k.keys--
	k.bytes -= len(key)
}

const (
	freshFor    = time.Second     // how long a change is highlighted
	deletedFor  = 2 * time.Second // how long a deleted key can still be seen
	sampleEvery = time.Second     // how far the numbers of a row's past are apart
)

// A watchRow is one key of the state.
type watchRow struct {
	key     string
	shown   string // the key, harmless
	value   valueText
	changed time.Time // when this side learned of the last change; zero where it has been so from the start
	deleted bool      // the row is about to go
	past    []float64 // a number a sampleEvery, the latest last
}

// watchRows is a state as the table shows it: a row a key, in the order of the keys.
type watchRows struct {
	byKey   map[string]*watchRow
	sorted  []*watchRow
	room    keyRoom
	left    int // changes of keys for which there was no room
	seq     uint64
	missed  uint64
	changes int // that came, the whole time
	sampled time.Time
}

// apply takes in what has come by now.
func (w *watchRows) apply(u state.Update, now time.Time) {
	switch {
	case u.Snapshot != nil:
		w.replace(u.Snapshot, now)
	case u.Change != nil:
		w.seq = u.Change.Seq
		w.missed += u.Change.Missed
		w.changes++
		w.set(u.Change.Key, u.Change.Value, now)
	}
}

// replace takes in a whole state: the first, or one after a connection was lost, which may have changed meanwhile.
func (w *watchRows) replace(s *state.Snapshot, now time.Time) {
	first := w.byKey == nil
	if first {
		w.byKey = make(map[string]*watchRow, len(s.Values))
	}
	w.seq = s.Seq
	for _, r := range w.sorted {
		if _, still := s.Values[r.key]; !still && !r.deleted {
			w.set(r.key, nil, now)
		}
	}
	fresh := now
	if first {
		fresh = time.Time{}
	}
	var added []*watchRow
	for key, value := range s.Values {
		if r := w.byKey[key]; r != nil {
			r.update(value, now)
		} else if r := w.add(key); r != nil {
			r.update(value, fresh)
			added = append(added, r)
		}
	}
	w.sorted = append(w.sorted, added...)
	slices.SortFunc(w.sorted, compareRows)
}

func compareRows(a, b *watchRow) int { return strings.Compare(a.key, b.key) }

// set takes in one change; a nil value deletes.
func (w *watchRows) set(key string, value json.RawMessage, now time.Time) {
	r := w.byKey[key]
	switch {
	case r != nil && value == nil:
		r.deleted, r.changed = true, now
	case r != nil:
		r.update(value, now)
	case value != nil:
		if r := w.add(key); r != nil {
			r.update(value, now)
			at, _ := slices.BinarySearchFunc(w.sorted, r, compareRows)
			w.sorted = slices.Insert(w.sorted, at, r)
		}
	}
}

// add makes the row of a key, which the caller puts in its place; nil where there is no room.
func (w *watchRows) add(key string) *watchRow {
	if w.byKey == nil {
		w.byKey = make(map[string]*watchRow)
	}
	if !w.room.take(key) {
		w.left++
		return nil
	}
	r := &watchRow{key: key, shown: harmless(key)}
	w.byKey[key] = r
	return r
}

// update gives a row a value, which is a change unless it is the one that it has.
func (r *watchRow) update(value json.RawMessage, now time.Time) {
	text := newValueText(value)
	if r.deleted || text != r.value {
		r.changed = now
	}
	r.value, r.deleted = text, false
	if !text.isNumber {
		r.past = nil
	} else if len(r.past) > 0 {
		r.past[len(r.past)-1] = text.number
	} else {
		r.past = []float64{text.number}
	}
}

// fresh reports whether a row has only just changed.
func (r *watchRow) fresh(now time.Time) bool {
	return !r.changed.IsZero() && now.Sub(r.changed) < freshFor
}

// tick lets time pass: numbers go into the past, and deleted rows go.
func (w *watchRows) tick(now time.Time) {
	if w.sampled.IsZero() {
		w.sampled = now
	}
	for ; now.Sub(w.sampled) >= sampleEvery; w.sampled = w.sampled.Add(sampleEvery) {
		if now.Sub(w.sampled) > historySize*sampleEvery {
			w.sampled = now.Add(-historySize * sampleEvery) // the computer was asleep
		}
		for _, r := range w.sorted {
			r.sample()
		}
	}
	w.sorted = slices.DeleteFunc(w.sorted, func(r *watchRow) bool {
		gone := r.deleted && now.Sub(r.changed) >= deletedFor
		if gone {
			delete(w.byKey, r.key)
			w.room.leave(r.key)
		}
		return gone
	})
}

func (r *watchRow) sample() {
	if !r.value.isNumber {
		return
	}
	if len(r.past) == historySize {
		r.past = slices.Delete(r.past, 0, 1)
	}
	r.past = append(r.past, r.value.number)
}

// matching gives the rows whose key contains a text, whatever its case.
func (w *watchRows) matching(text string) []*watchRow {
	if text == "" {
		return w.sorted
	}
	text = strings.ToLower(text)
	var rows []*watchRow
	for _, r := range w.sorted {
		if strings.Contains(strings.ToLower(r.shown), text) {
			rows = append(rows, r)
		}
	}
	return rows
}

// A valueText is a value as it is shown.
type valueText struct {
	text     string // harmless
	isNumber bool
	isString bool
	number   float64
}

func newValueText(value json.RawMessage) valueText {
	v := valueText{text: valueLine(value)}
	if len(v.text) > maxRowText {
		v.text = strings.ToValidUTF8(v.text[:maxRowText], "") + "…"
	}
	v.isString = len(value) > 0 && value[0] == '"'
	if number, err := strconv.ParseFloat(string(value), 64); err == nil {
		v.number, v.isNumber = number, true
	}
	return v
}

// valueLine writes a value on one line, harmless: a string as it is where nobody could take it for another kind of
// value, as serve notify reads it too, and any other as JSON.
func valueLine(value json.RawMessage) string {
	var s string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil &&
		s != "" && s == strings.TrimSpace(s) && !json.Valid([]byte(s)) && harmless(s) == s {
		return s
	}
	return harmless(string(harmlessJSON(value)))
}
