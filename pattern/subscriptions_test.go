package pattern

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSubscriptions holds the tree to a model that compares every topic of every subscriber.
func TestSubscriptions(t *testing.T) {
	topics := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00ÿ")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		var tree subscriptions
		var subs [4]subscriber
		var model [4]map[string]int
		for i := range model {
			model[i] = map[string]int{}
		}
		held := func(topic string) int {
			n := 0
			for _, m := range model {
				if m[topic] > 0 {
					n++
				}
			}
			return n
		}
		who := func(t *rapid.T) int { return rapid.IntRange(0, len(subs)-1).Draw(t, "who") }
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				i, topic := who(t), topics.Draw(t, "topic")
				want := held(topic) == 0
				model[i][topic]++
				if first := tree.add(&subs[i], []byte(topic)); first != want {
					t.Fatalf("add %d %q: first = %v, want %v", i, topic, first, want)
				}
			},
			"cancel": func(t *rapid.T) {
				i, topic := who(t), topics.Draw(t, "topic")
				wantOK := model[i][topic] > 0
				if wantOK {
					if model[i][topic]--; model[i][topic] == 0 {
						delete(model[i], topic)
					}
				}
				wantLast := wantOK && held(topic) == 0
				if last, ok := tree.cancel(&subs[i], []byte(topic)); last != wantLast || ok != wantOK {
					t.Fatalf("cancel %d %q: last, ok = %v, %v, want %v, %v", i, topic, last, ok, wantLast, wantOK)
				}
			},
			"remove": func(t *rapid.T) {
				i := who(t)
				topics := slices.Collect(maps.Keys(model[i]))
				clear(model[i])
				var want, got []string
				for _, topic := range topics {
					if held(topic) == 0 {
						want = append(want, topic)
					}
				}
				tree.remove(&subs[i], func(topic []byte, last bool) {
					if last {
						got = append(got, string(topic))
					}
				})
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("remove %d: last of %q, want %q", i, got, want)
				}
			},
			"match": func(t *rapid.T) {
				topic := topics.Draw(t, "topic") + topics.Draw(t, "rest")
				var want []*subscriber
				for i, m := range model {
					if slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(prefix string) bool { return strings.HasPrefix(topic, prefix) }) {
						want = append(want, &subs[i])
					}
				}
				got := tree.match([]byte(topic))
				if len(got) != len(want) {
					t.Fatalf("match %q: %d subscribers, want %d", topic, len(got), len(want))
				}
				for _, s := range want {
					if !slices.Contains(got, s) {
						t.Fatalf("match %q left out a subscriber", topic)
					}
				}
				if tree.matches([]byte(topic)) != (len(want) > 0) {
					t.Fatalf("matches %q: %v", topic, len(want) == 0)
				}
			},
			"": func(t *rapid.T) {
				for i, m := range model {
					got := map[string]int{}
					tree.each(&subs[i], func(topic []byte) bool {
						got[string(topic)] = int(subs[i].topics[tree.lookup(topic).number])
						if !tree.holds(&subs[i], topic) {
							t.Fatalf("%d does not hold %q, which it has", i, topic)
						}
						return true
					})
					if !maps.Equal(got, m) {
						t.Fatalf("%d holds %v, want %v", i, got, m)
					}
				}
				nodes := map[*holders]int{}
				numbers := map[uint32]bool{}
				checkNode(t, &tree, &tree.root, "", nodes, numbers)
				for _, n := range tree.free {
					if numbers[n] || tree.names[n] != "" {
						t.Fatalf("%q has a number that is free", tree.names[n])
					}
					numbers[n] = true
				}
				if len(numbers) != len(tree.names) || len(tree.free) > 0 && len(tree.free) == len(tree.names) {
					t.Fatalf("%d names, %d of them free, for %d numbers", len(tree.names), len(tree.free), len(numbers))
				}
				for h, n := range nodes {
					if h.nodes != n {
						t.Fatalf("holders of %d topics count %d", n, h.nodes)
					}
				}
				if len(nodes) != len(tree.sets) {
					t.Fatalf("%d sets of holders are kept, %d needed", len(tree.sets), len(nodes))
				}
			},
		})
	})
}

// checkNode checks what n, the node of topic, must be, and all below it. It counts the nodes that have each set of holders, and notes the numbers.
func checkNode(t *rapid.T, tree *subscriptions, n *topicNode, topic string, nodes map[*holders]int, numbers map[uint32]bool) {
	if h := n.holders; h != nil {
		if tree.names[n.number] != topic || numbers[n.number] {
			t.Fatalf("%q: the number %d, of %q", topic, n.number, tree.names[n.number])
		}
		numbers[n.number] = true
		key, order := uint64(0), uint64(0)
		for _, s := range h.subs {
			if s.topics[n.number] == 0 || s.order <= order {
				t.Fatalf("%q: the holder of order %d, after %d, has subscribed %d times", topic, s.order, order, s.topics[n.number])
			}
			key, order = key^s.mark, s.order
		}
		if len(h.subs) == 0 || h.key != key || tree.sets[key] != h {
			t.Fatalf("%q: %d holders, not those that their key gives", topic, len(h.subs))
		}
		nodes[h]++
	}
	below, set := 0, 0
	if n.fork != nil {
		below = len(n.fork.branch)
		for _, word := range n.fork.firsts {
			set += bits.OnesCount64(word)
		}
		if set != below || below == 0 {
			t.Fatalf("%q: %d branches, %d first bytes", topic, below, set)
		}
		for i := range n.fork.branch {
			child := &n.fork.branch[i]
			if at, ok := n.find(child.label[0]); at != i || !ok {
				t.Fatalf("%q: wrong branch %q", topic, child.label)
			}
			checkNode(t, tree, child, topic+child.label, nodes, numbers)
		}
	}
	if n != &tree.root && n.holders == nil && below < 2 {
		t.Fatalf("%q is there for nothing", topic)
	}
}

// manyTopics gives subscribers count topics each, the same ones.
func manyTopics(subs, count int) (*subscriptions, []*subscriber) {
	tree := &subscriptions{}
	all := make([]*subscriber, subs)
	for i := range all {
		all[i] = &subscriber{}
		for k := range count {
			tree.add(all[i], fmt.Appendf(nil, "market.%d.price", k))
		}
	}
	return tree, all
}

func TestMatchDoesNotAllocate(t *testing.T) {
	tree, subs := manyTopics(10, 100)
	tree.add(subs[0], nil) // so that two nodes match
	topic := []byte("market.42.price.usd")
	if len(tree.match(topic)) != 10 {
		t.Fatalf("%d match, want 10", len(tree.match(topic)))
	}
	if n := testing.AllocsPerRun(100, func() { tree.match(topic); tree.matches(topic) }); n != 0 {
		t.Errorf("a match allocates %v times", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, subs := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("subs=%d/topics=all", subs), func(b *testing.B) {
			tree := &subscriptions{}
			for range subs {
				tree.add(&subscriber{}, nil)
			}
			topic := []byte("market.4242.price")
			for b.Loop() {
				if len(tree.match(topic)) != subs {
					b.Fatal("wrong match")
				}
			}
		})
		for _, topics := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("subs=%d/topics=%d", subs, topics), func(b *testing.B) {
				tree, _ := manyTopics(subs, topics)
				names := make([][]byte, 8191) // topics that cycle, so that nothing is in a cache by luck
				for i := range names {
					names[i] = fmt.Appendf(nil, "market.%d.price", i*7919%topics)
				}
				i := 0
				for b.Loop() {
					if len(tree.match(names[i])) != subs {
						b.Fatal("wrong match")
					}
					if i++; i == len(names) {
						i = 0
					}
				}
			})
		}
	}
}

func BenchmarkSubscribeRemove(b *testing.B) {
	topics := make([][]byte, 10_000)
	for i := range topics {
		topics[i] = fmt.Appendf(nil, "market.%d.price", i)
	}
	tree, _ := manyTopics(100, len(topics))
	b.ReportAllocs()
	for b.Loop() {
		s := &subscriber{}
		for _, topic := range topics {
			tree.add(s, topic)
		}
		tree.remove(s, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(topics)), "ns/topic")
}
