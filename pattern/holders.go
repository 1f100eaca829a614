package pattern

import (
	"cmp"
	"slices"
)

// holders is the subscribers that hold a topic. Topics that the same subscribers hold share one: a list for each
// of ten thousand topics is memory that no cache has at hand when a message comes for it.
type holders struct {
	subs  []*subscriber // by their order, never none
	key   uint64        // the marks of all, one over the other: what the list of the same ones is found by
	nodes int           // that have it. It changes in place only where that is one
}

// toggle puts s among the holders of n, or takes it off them where it is one.
func (t *subscriptions) toggle(n *topicNode, s *subscriber) {
	old := n.holders
	if old == nil {
		old = &holders{}
	}
	at, had := slices.BinarySearchFunc(old.subs, s, func(a, b *subscriber) int { return cmp.Compare(a.order, b.order) })
	if had && len(old.subs) == 1 {
		t.release(old)
		n.holders = nil
		return
	}
	key := old.key ^ s.mark
	if h := t.sets[key]; h != nil && old.differs(h, s, at, had) {
		t.release(old)
		h.nodes++
		n.holders = h
		return
	}
	subs := old.subs
	if old.nodes > 1 {
		subs = slices.Clone(subs)
	}
	if had {
		subs = slices.Delete(subs, at, at+1)
	} else {
		subs = slices.Insert(subs, at, s)
	}
	t.release(old)
	n.holders = &holders{subs: subs, key: key, nodes: 1}
	if t.sets == nil {
		t.sets = map[uint64]*holders{}
	}
	t.sets[key] = n.holders
}

// release takes h from one node.
func (t *subscriptions) release(h *holders) {
	if h.nodes--; h.nodes == 0 && t.sets[h.key] == h {
		delete(t.sets, h.key)
	}
}

// differs reports whether what sets other apart from h is s alone: h has it at the place at, or other would.
func (h *holders) differs(other *holders, s *subscriber, at int, had bool) bool {
	long, short := other.subs, h.subs
	if had {
		long, short = short, long
	}
	return len(long) == len(short)+1 && long[at] == s && slices.Equal(long[:at], short[:at]) && slices.Equal(long[at+1:], short[at:])
}
