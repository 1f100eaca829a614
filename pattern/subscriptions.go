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
	names []string            // of the topics, by their numbers
	free  []uint32            // numbers that no topic has
	sets  map[uint64]*holders // those of all nodes, by their keys
	order uint64              // of the last subscriber that came
	stamp uint64              // of the match under way, for those who hold several prefixes of one topic
	found []*subscriber       // what the last match of several nodes gave
}

// A subscriber holds topics in one subscriptions. The zero value holds none.
type subscriber struct {
	topics map[uint32]uint32 // how often it subscribed to each, by their numbers
	order  uint64            // when it came
	mark   uint64            // chance, of which the keys of holders are made
	stamp  uint64            // the last match that found it
	audience
}

// A topicNode is one topic, or the place where topics part ways. A node other than the root has holders or at
// least two branches. It moves when others come and go beside it.
type topicNode struct {
	label   string   // what the topic has after that of the node above
	holders *holders // nil for none
	fork    *fork    // nil where nothing is below
	number  uint32   // the topic's, where it has holders: the same for as long as it has
}

// A fork is what is below a node. It is apart from it, for most nodes have none, and has the nodes side by side: with topics by
// the thousand it is the lines of memory touched that a match costs.
type fork struct {
	firsts [4]uint64   // the set of the first bytes of the branches' labels
	branch []topicNode // in the order of their first bytes
}

// add subscribes s to topic once more, which it copies what it needs of. It reports whether nobody held it before.
func (t *subscriptions) add(s *subscriber, topic []byte) (first bool) {
	n := t.lookup(topic)
	if first = n == nil || n.holders == nil; first {
		name := string(topic)
		n = t.insert(name)
		n.number = t.enter(name)
	}
	if count, ok := s.topics[n.number]; ok {
		if count < math.MaxUint32 {
			s.topics[n.number] = count + 1
		}
		return false
	}
	if s.topics == nil {
		t.order++
		s.topics, s.order, s.mark = map[uint32]uint32{}, t.order, rand.Uint64()
	}
	s.topics[n.number] = 1
	t.toggle(n, s)
	return first
}

// enter gives a topic that has come its number.
func (t *subscriptions) enter(name string) (number uint32) {
	if last := len(t.free) - 1; last >= 0 {
		number, t.free = t.free[last], t.free[:last]
		t.names[number] = name
		return number
	}
	t.names = append(t.names, name)
	return uint32(len(t.names) - 1)
}

// cancel takes back one subscription of s to topic. ok is false where it holds none; last reports that nobody holds it any more.
func (t *subscriptions) cancel(s *subscriber, topic []byte) (last, ok bool) {
	n := t.held(topic)
	if n == nil {
		return false, false
	}
	number := n.number
	count, ok := s.topics[number]
	switch {
	case !ok:
		return false, false
	case count > 1:
		s.topics[number] = count - 1
		return false, true
	}
	delete(s.topics, number)
	return t.drop(n, s), true
}

// remove takes back all that s holds. It calls gone, unless that is nil, with each topic and whether nobody holds it any more.
func (t *subscriptions) remove(s *subscriber, gone func(topic []byte, last bool)) {
	var topic []byte
	for number := range s.topics {
		topic = append(topic[:0], t.names[number]...)
		last := t.drop(t.lookup(topic), s)
		if gone != nil {
			gone(slices.Clone(topic), last)
		}
	}
	s.topics = nil
}

// drop takes s off the holders of n. It reports whether that was the last of them, and then the topic has gone.
func (t *subscriptions) drop(n *topicNode, s *subscriber) (last bool) {
	t.toggle(n, s)
	if n.holders != nil {
		return false
	}
	number := n.number
	t.prune(t.names[number])
	t.names[number] = ""
	if t.free = append(t.free, number); len(t.free) == len(t.names) {
		t.names, t.free = nil, nil
	}
	return true
}

// holds reports whether s is subscribed to topic.
func (t *subscriptions) holds(s *subscriber, topic []byte) bool {
	n := t.held(topic)
	if n == nil {
		return false
	}
	_, ok := s.topics[n.number]
	return ok
}

// each calls f with every topic that s holds, in no order, until f returns false.
func (t *subscriptions) each(s *subscriber, f func(topic []byte) bool) {
	var topic []byte
	for number := range s.topics {
		topic = append(topic[:0], t.names[number]...)
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

// held is lookup for a topic that has holders.
func (t *subscriptions) held(topic []byte) *topicNode {
	if n := t.lookup(topic); n != nil && n.holders != nil {
		return n
	}
	return nil
}

// insert returns the node of topic, made if it has none.
func (t *subscriptions) insert(topic string) *topicNode {
	n := &t.root
	for len(topic) > 0 {
		i, ok := n.find(topic[0])
		if !ok {
			return n.attach(topicNode{label: topic})
		}
		n = &n.fork.branch[i]
		same := 1
		for same < len(n.label) && same < len(topic) && n.label[same] == topic[same] {
			same++
		}
		if same < len(n.label) {
			below := *n
			*n = topicNode{label: below.label[:same]}
			below.label = below.label[same:]
			n.attach(below)
		}
		topic = topic[same:]
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
	n = &n.fork.branch[i]
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

// attach puts below, which n has no branch with the first byte of, below n, and gives where it is.
func (n *topicNode) attach(below topicNode) *topicNode {
	c := below.label[0]
	if n.fork == nil {
		n.fork = &fork{}
	}
	f := n.fork
	i, _ := n.find(c)
	f.firsts[c>>6] |= 1 << (c & 63)
	if k := len(f.branch); k == cap(f.branch) {
		f.branch = append(make([]topicNode, 0, k+1+k/4), f.branch...)
	}
	f.branch = slices.Insert(f.branch, i, below)
	return &f.branch[i]
}

// detach takes away the branch of n at the place i.
func (n *topicNode) detach(i int) {
	f := n.fork
	if len(f.branch) == 1 {
		n.fork = nil
		return
	}
	c := f.branch[i].label[0]
	f.firsts[c>>6] &^= 1 << (c & 63)
	f.branch = slices.Delete(f.branch, i, i+1)
}

// prune takes the node of topic out of the tree unless it has holders or topics part ways there, and then the one above likewise.
func (t *subscriptions) prune(topic string) {
	above, rest := &t.root, topic
	for len(rest) > 0 {
		i, _ := above.find(rest[0])
		n := &above.fork.branch[i]
		if len(n.label) < len(rest) {
			above, rest = n, rest[len(n.label):]
			continue
		}
		switch {
		case n.holders != nil:
		case n.fork == nil:
			above.detach(i)
			t.prune(topic[:len(topic)-len(rest)])
		case len(n.fork.branch) == 1:
			below := n.fork.branch[0]
			below.label = n.label + below.label
			*n = below
		}
		return
	}
}
