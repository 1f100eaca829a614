package state

import (
	"context"
	"math"
	"net"
)

// A Watcher is told of the changes of a [Table], from a snapshot on. Its methods may be called at once,
// but for Next, which one goroutine calls.
//
// What it has not been told of yet costs no memory: of each key it is told the latest change, whenever it comes to
// ask. One that has not asked while more than a thousand keys, or as many as there are, were deleted gets a new snapshot.
type Watcher struct {
	t    *Table
	bell chan struct{} // has one token where a waiting watcher is to look again

	// Guarded by t.mu.
	at       int // in t.watchers
	prefixes prefixes
	fresh    bool   // a snapshot is next
	cursor   uint64 // the change up to which it has been told
	waiting  bool   // nothing was there when it last looked
	closed   bool
	patient  bool // it never waits, and needs every deletion: there is no way to give its own followers a snapshot
	count    tally
}

// Watch begins to watch the keys that have one of the prefixes; without any, all keys. It must be closed.
func (t *Table) Watch(prefix ...string) *Watcher {
	w := &Watcher{t: t, bell: make(chan struct{}, 1), prefixes: newPrefixes(prefix), fresh: true}
	t.mu.Lock()
	defer t.mu.Unlock()
	w.cursor, w.at = t.seq, len(t.watchers)
	t.watchers = append(t.watchers, w)
	return w
}

// Next waits for the next update: the first is a snapshot, then come changes. It blocks until there is one, ctx ends, or the
// watcher is closed ([net.ErrClosed]).
func (w *Watcher) Next(ctx context.Context) (Update, error) {
	for {
		var b batch
		if err := w.take(&b, 1); err != nil {
			return Update{}, err
		}
		switch {
		case b.snapshot:
			return Update{Snapshot: snapshotOf(b.seq, b.values)}, nil
		case len(b.changes) > 0:
			return Update{Change: b.changes[0].c.told(b.changes[0].missed)}, nil
		}
		select {
		case <-w.bell:
		case <-ctx.Done():
			return Update{}, ctx.Err()
		}
	}
}

// Narrow makes w watch the keys that have one of the prefixes from now on; without any, all keys. The next update is a snapshot of them.
func (w *Watcher) Narrow(prefix ...string) {
	p := newPrefixes(prefix)
	w.t.mu.Lock()
	w.prefixes, w.fresh = p, true
	w.t.mu.Unlock()
	w.wake()
}

// Close ends w, and a Next that waits. It may be called again.
func (w *Watcher) Close() {
	t := w.t
	t.mu.Lock()
	if !w.closed {
		w.closed = true
		end := len(t.watchers) - 1
		t.watchers[w.at], t.watchers[end].at = t.watchers[end], w.at
		t.watchers[end] = nil
		t.watchers = t.watchers[:end]
	}
	t.mu.Unlock()
	w.wake()
}

// wake has the goroutine that waits look again.
func (w *Watcher) wake() {
	select {
	case w.bell <- struct{}{}:
	default: // it will, anyway
	}
}

// changed notes a change of the table. t.mu is held.
func (w *Watcher) changed(c *change) {
	if !w.prefixes.match(c.key) {
		return
	}
	w.count.matched++
	if w.waiting {
		w.waiting = false
		w.cursor = c.seq - 1
		w.t.woken = append(w.t.woken, w)
	}
}

// knows gives the change up to which nothing is left to tell w. t.mu is held.
func (w *Watcher) knows() uint64 {
	if w.fresh || w.waiting {
		return w.t.seq
	}
	return w.cursor
}

// A batch is what a watcher is to tell next: a snapshot, or changes, or nothing yet.
type batch struct {
	asLine bool // a snapshot is to be encoded: where it has been, the values are left out

	snapshot bool
	all      bool      // the snapshot is of all keys
	seq      uint64    // of the snapshot
	values   []*change // the snapshot's
	line     []byte    // the snapshot object, if it is there already
	changes  []pending
}

// A pending change, and how many before it were missed.
type pending struct {
	c      *change
	missed uint64
}

// reset makes b empty, and lets go of what it held.
func (b *batch) reset() {
	clear(b.changes)
	*b = batch{asLine: b.asLine, changes: b.changes[:0]}
}

// take puts into b, which is empty, what is next: of changes so many that their lines are over size bytes. Where there is nothing, a
// token comes into w.bell when there is. The error is [net.ErrClosed].
func (w *Watcher) take(b *batch, size int) error {
	t := w.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case w.closed:
		return net.ErrClosed
	case w.fresh || !w.waiting && w.cursor < t.forgot:
		b.snapshot, b.seq = true, t.seq
		b.all = len(w.prefixes) == 0
		if b.asLine && b.all {
			b.line = t.encoded
		}
		if b.line == nil {
			b.values = t.valuesLocked(w.prefixes)
		}
		w.fresh, w.waiting, w.cursor, w.count = false, false, t.seq, tally{mark: t.seq}
	case !w.waiting:
		w.collect(b, size)
		w.waiting = len(b.changes) == 0
	}
	return nil
}

// takeAll puts all changes that are next into b, which is empty, and gives the values after them of the keys that begin with prefix.
func (w *Watcher) takeAll(b *batch, prefix string) (values []*change, seq uint64) {
	t := w.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if !w.waiting && !w.closed {
		w.collect(b, math.MaxInt)
	}
	return t.valuesLocked(newPrefixes([]string{prefix})), t.seq
}

// collect puts the changes after the cursor into b. t.mu is held.
func (w *Watcher) collect(b *batch, size int) {
	t, all := w.t, len(w.prefixes) == 0
	for _, r := range t.log[t.after(w.cursor):] {
		switch {
		case r.c == nil || !w.prefixes.match(r.c.key):
			continue
		case size <= 0:
			return
		}
		p := pending{c: r.c}
		if all {
			p.missed = r.seq - w.cursor - 1
		} else {
			p.missed = w.count.tell(r.seq, t.seq)
		}
		b.changes = append(b.changes, p)
		w.cursor = r.seq
		size -= len(r.c.line)
	}
	w.cursor = t.seq
	if n := len(b.changes); n > 0 && !all {
		w.count.marked = w.count.matched // all are passed
		b.changes[n-1].missed += w.count.settle(t.seq)
	}
}

// A tally finds out how many changes a watcher of some prefixes missed. (One that watches all sees that by their numbers.) How many
// there were up to a certain one, the mark, is known; those that were not told when the watcher has come past it were missed.
type tally struct {
	matched uint64 // changes since the snapshot
	told    uint64 // of these, those that were told, or that were told to have been missed
	mark    uint64 // the number of a change
	marked  uint64 // matched up to there
}

// tell notes that the change seq is told. It gives how many were missed that can be told with it. last is the table's last.
func (c *tally) tell(seq, last uint64) (missed uint64) {
	if seq > c.mark {
		missed = c.settle(last)
	}
	c.told++
	return missed
}

// settle gives how many changes up to the mark were missed and not told yet, for everything up to there was passed. It sets a new mark.
func (c *tally) settle(last uint64) (missed uint64) {
	missed = c.marked - c.told
	c.told = c.marked
	c.mark, c.marked = last, c.matched
	return missed
}
