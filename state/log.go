package state

import (
	"slices"
	"sort"
)

const (
	// slack is how many void records, and how many deletions, a log may hold beside as many as there are keys.
	slack = 1024
)

// after gives the place in the log of the first change after seq. mu is held.
func (t *Table) after(seq uint64) int {
	if seq >= t.seq {
		return len(t.log)
	}
	return sort.Search(len(t.log), func(i int) bool { return t.log[i].seq > seq })
}

// compact takes what is void out of the log, once that is half of it, and the deletions that every watcher knows of. Where a
// watcher has been stopped while very many keys went, the oldest of these are forgotten too: it then gets
// a new snapshot. mu is held.
func (t *Table) compact() {
	deletions := len(t.entries) - t.live
	if t.holes <= t.live+slack && deletions <= t.live+slack {
		return
	}
	known, needed := t.seq, t.seq // known to all watchers, and to those that take no snapshot
	for _, w := range t.watchers {
		known = min(known, w.knows())
		if w.patient {
			needed = min(needed, w.knows())
		}
	}
	surplus := max(0, deletions-(t.live+slack)/2) // of deletions, which go although they may not be known
	kept := t.log[:0]
	for _, r := range t.log {
		switch {
		case r.c == nil:
			continue
		case r.c.value == nil && (r.seq <= known || surplus > 0 && r.seq <= needed):
			surplus--
			t.forgot = r.seq
			delete(t.entries, r.c.key)
			continue
		}
		t.entries[r.c.key].at = len(kept)
		kept = append(kept, r)
	}
	clear(t.log[len(kept):])
	t.log, t.holes = kept, 0
	if cap(kept) > 4*len(kept)+4*slack {
		t.log = slices.Clone(kept)
	}
}
