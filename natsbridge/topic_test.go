package natsbridge_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tincan-ipc/tincan/natsbridge"
)

func TestTopics(t *testing.T) {
	topics := natsbridge.Topics{Base: "base"}
	for _, c := range []struct{ topic, subject, filter string }{
		{"weather.paris", "base.weather.paris", "base.weather.>"},
		{"weather.", "base.weather.%", "base.weather.>"},
		{"weather", "base.weather", "base.>"},
		{"", "base.%", "base.>"},
		{"a..b c", "base.a.%.b%20c", "base.a.%.>"},
		{".", "base.%.%", "base.%.>"},
		{"100%.*", "base.100%25.%2A", "base.100%25.>"},
		{"\x00\xff>", "base.%00%FF%3E", "base.>"},
		{"$SYS.x", "base.$SYS.x", "base.$SYS.>"},
	} {
		if got := topics.Subject([]byte(c.topic)); got != c.subject {
			t.Errorf("the subject of %q is %q, want %q", c.topic, got, c.subject)
		}
		if got, err := topics.Topic(c.subject); err != nil || string(got) != c.topic {
			t.Errorf("the topic of %q is %q (%v), want %q", c.subject, got, err, c.topic)
		}
		if got := topics.Filter(c.topic); got != c.filter {
			t.Errorf("the filter of %q is %q, want %q", c.topic, got, c.filter)
		}
	}
	for _, s := range []string{"", "base", "base.", "other.a", "base.a.", "base..a", "base.a b", "base.%zz", "base.%2a", "base.%61", "base.a%", "base.%2", "base.*", "base.>", "base.%2E"} {
		if topic, err := topics.Topic(s); err == nil {
			t.Errorf("%q is taken for the subject of topic %q", s, topic)
		}
	}
}

// topic draws topics that have much in common: a few bytes, the special ones among them.
func topic() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]byte(`ab..%*> 2E`)), rapid.Byte()), 0, 8).Draw(t, "bytes"))
	})
}

// TestTopicsProperties: each topic has a subject of its own, from which it comes back; and the filter of a prefix
// takes every topic that has it, by NATS's own rule.
func TestTopicsProperties(t *testing.T) {
	topics := natsbridge.Topics{Base: "b.c"}
	rapid.Check(t, func(t *rapid.T) {
		one, two := topic().Draw(t, "one"), topic().Draw(t, "two")
		subject := topics.Subject([]byte(one))
		for token := range strings.SplitSeq(subject, ".") {
			if token == "" || token == "*" || token == ">" || strings.ContainsAny(token, " \t\r\n") {
				t.Fatalf("%q has the token %q", subject, token)
			}
		}
		back, err := topics.Topic(subject)
		if err != nil || string(back) != one {
			t.Fatalf("%q became %q and then %q, %v", one, subject, back, err)
		}
		if same := subject == topics.Subject([]byte(two)); same != (one == two) {
			t.Fatalf("%q and %q have the subjects %q and %q", one, two, subject, topics.Subject([]byte(two)))
		}
		if strings.HasPrefix(one, two) && !natsMatches(topics.Filter(two), subject) {
			t.Fatalf("%q has the prefix %q, and %q doesn't take %q", one, two, topics.Filter(two), subject)
		}
	})
}

// natsMatches is how NATS matches a filter that ends in a wildcard with a subject: by whole tokens, of which > is one or more.
func natsMatches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	if len(have) < len(want) {
		return false
	}
	for i, token := range want[:len(want)-1] {
		if token != have[i] {
			return false
		}
	}
	return want[len(want)-1] == ">"
}

func FuzzTopic(f *testing.F) {
	for _, s := range []string{"base.a.b", "base.%", "base.%.%25x", "base.%2", "base.%%", "base..", "base.\xff", "base.a%00.%"} {
		f.Add(s)
	}
	topics := natsbridge.Topics{Base: "base"}
	f.Fuzz(func(t *testing.T, subject string) {
		topic, err := topics.Topic(subject)
		if err != nil {
			return
		}
		if again := topics.Subject(topic); again != subject {
			t.Fatalf("%q is the topic %q, whose subject is %q", subject, topic, again)
		}
		if !bytes.Equal(topic, []byte(string(topic))) || len(topic) > len(subject) {
			t.Fatalf("%q became %d bytes", subject, len(topic))
		}
	})
}
