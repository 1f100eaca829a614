package natsbridge

import (
	"errors"
	"strings"
)

// MaxSubject is the longest subject in bytes. A server ends the connection for a line of 4 KiB, in which more than the subject stands.
const MaxSubject = 3500

// Topics maps the topics under a subject, its base, to subjects and back. A topic is any bytes, the first part of a message that is
// published; a subject is tokens with dots between them, without blanks, and * and > are wildcards.
//
// The subject of a topic is the base, a dot and the topic, of which each dot parts two tokens. A byte that is not
// printable ASCII, and each of * > and %, is written as % and two hexadecimal digits; an empty token as a
// % alone. So weather.paris under base is base.weather.paris, "" is base.% and "a..b c" is base.a.%.b%20c. Each topic has one subject and each
// subject at most one topic, which is the topic that it was made of.
//
// ZeroMQ subscribes to prefixes of bytes, NATS to whole tokens. A subscription to a prefix becomes one to the tokens that
// the prefix has whole, and all that follows them; what the rest of the prefix leaves out is left out where it
// arrives. So "weather." costs only what it asks for: base.weather.>. But "weather" becomes base.>, since "weatherman" has that prefix too: end a prefix
// with a dot where the servers are to choose.
type Topics struct {
	// Base is the subject that the topics are under.
	Base string
}

// errTopic is a subject that is no topic's.
var errTopic = errors.New("the subject is no topic's")

// Subject gives the subject of topic.
func (t Topics) Subject(topic []byte) string {
	b := make([]byte, 0, len(t.Base)+1+len(topic)+16)
	b = append(b, t.Base...)
	return string(appendTokens(append(b, '.'), topic))
}

// appendTokens appends topic as tokens.
func appendTokens(dst, topic []byte) []byte {
	const digits = "0123456789ABCDEF"
	empty := true // nothing of this token is there yet
	for _, c := range topic {
		switch {
		case c == '.':
			if empty {
				dst = append(dst, '%')
			}
			dst = append(dst, '.')
			empty = true
			continue
		case isPlain(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
		empty = false
	}
	if empty {
		dst = append(dst, '%')
	}
	return dst
}

// isPlain reports whether c stands for itself in a token.
func isPlain(c byte) bool { return plain[c] }

var plain = func() (set [256]bool) {
	for c := byte('!'); c < 0x7f; c++ {
		set[c] = strings.IndexByte("*>%.", c) < 0
	}
	return set
}()

// Topic gives the topic of a subject. The error is for one that Subject doesn't give.
func (t Topics) Topic(subject string) ([]byte, error) {
	return t.appendTopic(make([]byte, 0, max(len(subject)-len(t.Base), 0)), subject)
}

// appendTopic appends the topic of a subject to topic. In an error it gives nil.
func (t Topics) appendTopic(topic []byte, subject string) ([]byte, error) {
	tokens, ok := strings.CutPrefix(subject, t.Base)
	if !ok || len(tokens) < 2 || tokens[0] != '.' {
		return nil, errTopic
	}
	tokens = tokens[1:]
	start := true // of a token
	for i := 0; i < len(tokens); i++ {
		run := i
		for i < len(tokens) && isPlain(tokens[i]) {
			i++
		}
		topic, start = append(topic, tokens[run:i]...), start && run == i
		if i == len(tokens) {
			break
		}
		c := tokens[i]
		switch {
		case c == '.':
			if start {
				return nil, errTopic
			}
			topic, start = append(topic, '.'), true
			continue
		case c != '%':
			return nil, errTopic
		case start && (i+1 == len(tokens) || tokens[i+1] == '.'): // an empty token
		default:
			high, low := -1, -1
			if i+2 < len(tokens) {
				high, low = digit(tokens[i+1]), digit(tokens[i+2])
			}
			escaped := byte(high<<4 | low)
			if high < 0 || low < 0 || isPlain(escaped) || escaped == '.' {
				return nil, errTopic
			}
			topic = append(topic, escaped)
			i += 2
		}
		start = false
	}
	if start {
		return nil, errTopic
	}
	return topic, nil
}

// digit gives the value of a hexadecimal digit in upper case, -1 for anything else.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Filter gives the subject, with a wildcard at its end, that the topics with the prefix have, and others maybe.
func (t Topics) Filter(prefix string) string {
	whole := prefix[:strings.LastIndexByte(prefix, '.')+1]
	if whole == "" {
		return t.Base + ".>"
	}
	return string(appendTokens([]byte(t.Base+"."), []byte(whole[:len(whole)-1]))) + ".>"
}

// filters gives the filters of several prefixes, without those that another of them covers: each message comes once.
func (t Topics) filters(prefixes []string) []string {
	var all []string
	for _, p := range prefixes {
		all = append(all, t.Filter(p))
	}
	var some []string
	for i, f := range all {
		covered := false
		for j, g := range all {
			under := strings.HasPrefix(f, strings.TrimSuffix(g, ">"))
			covered = covered || i != j && under && (f != g || j < i)
		}
		if !covered {
			some = append(some, f)
		}
	}
	return some
}
