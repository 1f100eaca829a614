package pattern

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// subscriptions holds the topics of many subscribers as a radix tree, so that finding who wants a message costs
// what the topic's length and the number of those who want it cost, whatever the number of topics.
//
// A subscriber that subscribes to a topic twice has to cancel it twice (37/ZMTP, The Publish-Subscribe Pattern).
// The zero value is empty. One goroutine at a time.
type subscriptions struct {
	root  topicNode
	sets  map[uint64]*holders // those of all nodes, by their keys
	order uint64              // of the last subscriber that came
	stamp uint64              // of the match under way, for those who hold several prefixes of one topic
	found []*subscriber       // what the last match of several nodes gave
}

// A subscriber holds topics in one subscriptions. The zero value holds none.
type subscriber struct {
	topics map[*topicNode]uint32 // how often it subscribed to each
	order  uint64                // when it came
	mark   uint64                // chance, of which the keys of holders are made
	stamp  uint64                // the last match that found it
	audience
}

// A topicNode is one topic, or the place where topics part ways. A node other than the root has holders or at
// least two branches. A node with holders is the same node until the last of them has gone: subscribers keep pointers to it.
type topicNode struct {
	label   string   // what the topic has after the parent's
	holders *holders // nil for none
	parent  *topicNode
	fork    *fork // nil where nothing is below
}

// A fork is what is below a node. It is apart from it, for most nodes have none: with topics by
// the thousand it is the lines of memory touched that a match costs.
type fork struct {
	firsts [4]uint64    // the set of the first bytes of the branches' labels
	branch []*topicNode // in the order of their first bytes
}

// add subscribes s to topic once more, which it copies what it needs of. It reports whether nobody held it before.
func (t *subscriptions) add(s *subscriber, topic []byte) (first bool) {
	n := t.insert(topic)
	if count, ok := s.topics[n]; ok {
		if count < math.MaxUint32 {
			s.topics[n] = count + 1
		}
		return false
	}
	if s.topics == nil {
		t.order++
		s.topics, s.order, s.mark = map[*topicNode]uint32{}, t.order, rand.Uint64()
	}
	s.topics[n] = 1
	first = n.holders == nil
	t.toggle(n, s)
	return first
}

// cancel takes back one subscription of s to topic. ok is false where it holds none; last reports that nobody holds it any more.
func (t *subscriptions) cancel(s *subscriber, topic []byte) (last, ok bool) {
	n := t.lookup(topic)
	count, ok := s.topics[n]
	switch {
	case !ok:
		return false, false
	case count > 1:
		s.topics[n] = count - 1
		return false, true
	}
	t.toggle(n, s)
	delete(s.topics, n)
	last = n.holders == nil
	n.prune()
	return last, true
}

// remove takes back all that s holds. It calls gone, unless that is nil, with each topic and whether nobody holds it any more.
func (t *subscriptions) remove(s *subscriber, gone func(topic []byte, last bool)) {
	for n := range s.topics {
		t.toggle(n, s)
		if gone != nil {
			gone(n.topic(nil), n.holders == nil)
		}
		n.prune()
	}
	s.topics = nil
}

// holds reports whether s is subscribed to topic.
func (t *subscriptions) holds(s *subscriber, topic []byte) bool {
	_, ok := s.topics[t.lookup(topic)]
	return ok
}

// each calls f with every topic that s holds, in no order, until f returns false.
func (s *subscriber) each(f func(topic []byte) bool) {
	var topic []byte
	for n := range s.topics {
		topic = n.topic(topic[:0])
		if !f(topic) {
			return
		}
	}
}

// match returns the subscribers that hold a prefix of topic, each once. The slice is valid until the next call of any method.
func (t *subscriptions) match(topic []byte) []*subscriber {
	var found []*subscriber
	several := false
	for n := &t.root; n != nil; {
		switch {
		case n.holders == nil:
		case found == nil:
			found = n.holders.subs
		default:
			if !several {
				several = true
				t.stamp++
				t.found = t.found[:0]
				t.merge(found)
			}
			t.merge(n.holders.subs)
			found = t.found
		}
		if n = n.next(topic); n != nil {
			topic = topic[len(n.label):]
		}
	}
	return found
}

// merge adds those of subs to found that are not in it.
func (t *subscriptions) merge(subs []*subscriber) {
	for _, s := range subs {
		if s.stamp != t.stamp {
			s.stamp = t.stamp
			t.found = append(t.found, s)
		}
	}
}

// matches reports whether anybody holds a prefix of topic.
func (t *subscriptions) matches(topic []byte) bool {
	for n := &t.root; n != nil; {
		if n.holders != nil {
			return true
		}
		if n = n.next(topic); n != nil {
			topic = topic[len(n.label):]
		}
	}
	return false
}

// lookup returns the node of topic, nil if it has none.
func (t *subscriptions) lookup(topic []byte) *topicNode {
	n := &t.root
	for n != nil && len(topic) > 0 {
		if n = n.next(topic); n != nil {
			topic = topic[len(n.label):]
		}
	}
	return n
}

// insert returns the node of topic, made if it has none.
func (t *subscriptions) insert(topic []byte) *topicNode {
	n := &t.root
	for len(topic) > 0 {
		i, ok := n.find(topic[0])
		if !ok {
			child := &topicNode{label: string(topic)}
			n.attach(child)
			return child
		}
		child := n.fork.branch[i]
		same := 1
		for same < len(child.label) && same < len(topic) && child.label[same] == topic[same] {
			same++
		}
		if same < len(child.label) {
			middle := &topicNode{parent: n, label: child.label[:same]}
			n.fork.branch[i] = middle
			child.label = child.label[same:]
			middle.attach(child)
			child = middle
		}
		n, topic = child, topic[same:]
	}
	return n
}

// next returns the node below n whose label begins topic, nil if there is none.
func (n *topicNode) next(topic []byte) *topicNode {
	if len(topic) == 0 {
		return nil
	}
	i, ok := n.find(topic[0])
	if !ok {
		return nil
	}
	n = n.fork.branch[i]
	if k := len(n.label); k > 1 && (k > len(topic) || string(topic[:k]) != n.label) {
		return nil
	}
	return n
}

// find returns the place among the branches of the one whose label begins with c, and whether there is one.
func (n *topicNode) find(c byte) (i int, ok bool) {
	f := n.fork
	if f == nil {
		return 0, false
	}
	word, bit := f.firsts[c>>6], uint64(1)<<(c&63)
	i = bits.OnesCount64(word & (bit - 1))
	for w := range c >> 6 {
		i += bits.OnesCount64(f.firsts[w])
	}
	return i, word&bit != 0
}

// attach puts child below n, which has no branch with its first byte.
func (n *topicNode) attach(child *topicNode) {
	c := child.label[0]
	if n.fork == nil {
		n.fork = &fork{}
	}
	i, _ := n.find(c)
	n.fork.firsts[c>>6] |= 1 << (c & 63)
	n.fork.branch = slices.Insert(n.fork.branch, i, child)
	child.parent = n
}

// prune takes n out of the tree unless it has holders or topics part ways there, and then its parent likewise.
func (n *topicNode) prune() {
	p := n.parent
	if p == nil || n.holders != nil || n.fork != nil && len(n.fork.branch) > 1 {
		return
	}
	c := n.label[0]
	i, _ := p.find(c)
	if n.fork != nil {
		child := n.fork.branch[0]
		child.parent, child.label = p, n.label+child.label
		p.fork.branch[i] = child
		return
	}
	p.fork.firsts[c>>6] &^= 1 << (c & 63)
	if p.fork.branch = slices.Delete(p.fork.branch, i, i+1); len(p.fork.branch) == 0 {
		p.fork = nil
	}
	p.prune()
}

// topic appends the whole topic of n to dst.
func (n *topicNode) topic(dst []byte) []byte {
	if n.parent == nil {
		return dst
	}
	return append(n.parent.topic(dst), n.label...)
}
