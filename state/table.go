package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Bounds of a [Table] whose fields are zero.
const (
	DefaultMaxKeys  = 65536
	DefaultMaxKey   = 1024
	DefaultMaxValue = 256 << 10
	DefaultMaxBytes = 8 << 20
)

// A Table is a state: values by their keys, and the number of the last change. The zero value is an empty state. Its methods
// may be called at once and never block; its fields must not change once they are.
//
// Every change is encoded once, however many follow it. What the table keeps for those is the latest change of each key, in
// the order of their numbers, and of each [Watcher] how far it has come: so a slow one costs no memory, and misses nothing but
// what a later change of the same key has made void.
type Table struct {
	// MaxKeys bounds how many keys there are, MaxKey the bytes of each and MaxValue those of a value in JSON; MaxBytes those of
	// them all together, and so a snapshot. Zero or negative means 65,536 keys, 1,024 bytes, 256 KiB and 8 MiB.
	MaxKeys, MaxKey, MaxValue, MaxBytes int

	mu       sync.Mutex // guards what follows, and the watchers
	seq      uint64
	entries  map[string]*entry
	live     int // entries that have a value
	bytes    int // of these, as they are in a snapshot
	log      []record
	holes    int    // records whose change is void
	forgot   uint64 // the last deletion that is no longer in the log
	watchers []*Watcher
	woken    []*Watcher // memory for those that a change wakes
	encoded  []byte     // the snapshot object of all keys, where it has been asked for since the last change
}

// An entry is a key and its latest change, which may be its deletion.
type entry struct {
	quoted []byte // the key in JSON
	last   *change
	at     int // in the log
}

// A record is a change's place in the log.
type record struct {
	seq uint64
	c   *change // nil where a later change of the key has made it void
}

// An edit is a change that is asked for. A nil value deletes.
type edit struct {
	key   string
	value []byte
}

// Set gives key a value, which is marshalled as JSON. A value that it has already, byte for byte, is no change.
// The errors are [ErrKey], [ErrValue] and [ErrFull].
func (t *Table) Set(key string, value any) error {
	e, err := t.edit(key, value)
	if err != nil {
		return err
	}
	_, err = t.apply([]edit{e})
	return err
}

// Delete takes key away, and reports whether it was there.
func (t *Table) Delete(key string) bool {
	made, _ := t.apply([]edit{{key: key}}) // what takes away is never too much
	return made > 0
}

// Apply sets all values and takes the keys of deleted away, which need not be there, or where one of them is wrong does nothing and
// gives the error, as of [Table.Set]. A key of both is set. Changes are numbered in the order of their keys, deletions first.
// No snapshot has a part of it. What values holds already is no change.
func (t *Table) Apply(values map[string]any, deleted ...string) error {
	edits := make([]edit, 0, len(values)+len(deleted))
	gone := slices.Clone(deleted)
	slices.Sort(gone)
	for _, key := range slices.Compact(gone) {
		if _, set := values[key]; !set {
			edits = append(edits, edit{key: key})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		e, err := t.edit(key, values[key])
		if err != nil {
			return err
		}
		edits = append(edits, e)
	}
	_, err := t.apply(edits)
	return err
}

// edit checks a key and encodes its value.
func (t *Table) edit(key string, value any) (edit, error) {
	if err := checkKey(key, limit(t.MaxKey, DefaultMaxKey)); err != nil {
		return edit{}, err
	}
	encoded, err := encodeValue(value, limit(t.MaxValue, DefaultMaxValue))
	if err != nil {
		return edit{}, fmt.Errorf("key %q: %w", key, err)
	}
	return edit{key, encoded}, nil
}

func limit(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Get gives the value of key as JSON, which must not be changed, and whether there is one.
func (t *Table) Get(key string) (json.RawMessage, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key]
	if e == nil || e.last.value == nil {
		return nil, false
	}
	return e.last.value, true
}

// Seq gives the number of the last change, 0 before the first.
func (t *Table) Seq() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seq
}

// Len gives how many keys there are.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live
}

// Snapshot gives the values of all keys that have one of the prefixes; without any, of all keys.
func (t *Table) Snapshot(prefix ...string) Snapshot {
	seq, list := t.values(newPrefixes(prefix))
	return *snapshotOf(seq, list)
}

func snapshotOf(seq uint64, list []*change) *Snapshot {
	s := &Snapshot{Seq: seq, Values: make(map[string]json.RawMessage, len(list))}
	for _, c := range list {
		s.Values[c.key] = c.value
	}
	return s
}

// snapshotLine gives the snapshot object of b, which has a snapshot.
func (t *Table) snapshotLine(b *batch) []byte {
	if b.line != nil {
		return b.line
	}
	line := appendSnapshot(nil, b.seq, b.values)
	if b.all {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.seq == b.seq {
			t.encoded = line
		}
	}
	return line
}

// values gives the latest changes of the keys that p matches and have a value, in the order of their numbers.
func (t *Table) values(p prefixes) (seq uint64, list []*change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seq, t.valuesLocked(p)
}

func (t *Table) valuesLocked(p prefixes) []*change {
	list := make([]*change, 0, t.live)
	for _, r := range t.log {
		if r.c != nil && r.c.value != nil && p.match(r.c.key) {
			list = append(list, r.c)
		}
	}
	return list
}

// apply makes all edits, or none where there is no room, and tells how many were changes.
func (t *Table) apply(edits []edit) (made int, err error) {
	t.mu.Lock()
	if err := t.fits(edits); err != nil {
		t.mu.Unlock()
		return 0, err
	}
	before := t.seq
	at := time.Now().UTC()
	for _, e := range edits {
		t.change(e, at)
	}
	made = int(t.seq - before)
	t.compact()
	woken := t.woken
	t.woken = nil
	t.mu.Unlock()
	for i, w := range woken {
		w.wake()
		woken[i] = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.woken == nil {
		t.woken = woken[:0]
	}
	return made, nil
}

// fits tells whether there is room for edits. mu is held.
func (t *Table) fits(edits []edit) error {
	keys, size := t.live, t.bytes
	for _, e := range edits {
		old := t.entries[e.key]
		had := old != nil && old.last.value != nil
		if had {
			size -= len(old.last.value)
		}
		switch {
		case e.value == nil && had:
			keys--
			size -= keySize(old.quoted)
		case e.value != nil && !had:
			keys++
			size += 2*len(e.key) + 4 + len(e.value) // the most that the key takes in JSON
		case e.value != nil:
			size += len(e.value)
		}
	}
	maxKeys, maxBytes := limit(t.MaxKeys, DefaultMaxKeys), limit(t.MaxBytes, DefaultMaxBytes)
	switch {
	case keys > maxKeys && keys > t.live:
		return fmt.Errorf("%w: %d keys, at most %d", ErrFull, keys, maxKeys)
	case size > maxBytes && size > t.bytes:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrFull, size, maxBytes)
	}
	return nil
}

// keySize is what a key and the signs around it take in a snapshot.
func keySize(quoted []byte) int { return len(quoted) + len(`:,`) }

// change makes one edit, unless it changes nothing. mu is held.
func (t *Table) change(e edit, at time.Time) {
	old := t.entries[e.key]
	switch {
	case old == nil && e.value == nil:
		return
	case old == nil:
		if t.entries == nil {
			t.entries = map[string]*entry{}
		}
		old = &entry{quoted: quote(e.key)}
		t.entries[e.key] = old
	case bytes.Equal(old.last.value, e.value) && (old.last.value == nil) == (e.value == nil):
		return
	default:
		t.log[old.at].c = nil
		t.holes++
		if old.last.value != nil {
			t.live--
			t.bytes -= keySize(old.quoted) + len(old.last.value)
		}
	}
	t.seq++
	t.encoded = nil
	old.last = newChange(t.seq, at, e.key, old.quoted, e.value)
	old.at = len(t.log)
	t.log = append(t.log, record{t.seq, old.last})
	if e.value != nil {
		t.live++
		t.bytes += keySize(old.quoted) + len(e.value)
	}
	for _, w := range t.watchers {
		w.changed(old.last)
	}
}
