//go:build linux

package interop

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A verbRow is a verb of the command with a socket type of a peer.
type verbRow struct {
	verb, flags    string
	peer, options  string
	speaks, prints bool // the verb's input, and its output, is all messages
	counts         bool // it is told how many come
	listens        bool // it does, as an XSUB sends only to those that are there
	// say has the rest of the conversation, where one side waits for the other in a way of its own.
	say func(verb, party *process, c *conversation)
}

// verbRows are the verbs with each type that they may talk to, but for the pairs that are others the other way round.
var verbRows = []verbRow{
	{verb: "push", peer: "pull", speaks: true},
	{verb: "pull", peer: "push", prints: true, counts: true},
	{verb: "pub", flags: "--wait-peers 1", peer: "sub", speaks: true},
	{verb: "pub", flags: "--wait-peers 1", peer: "xsub", speaks: true},
	{verb: "sub", flags: "--topic news", peer: "xpub", prints: true, counts: true},
	{verb: "sub", flags: "--topic news", peer: "pub", say: followPub},
	{verb: "xsub", flags: "--topic news", peer: "xpub", prints: true, counts: true},
	{verb: "xsub", flags: "--topic news", peer: "xpub", options: "upstream yes", say: sendUpstream},
	{verb: "xpub", peer: "sub", say: publishToFirst},
	{verb: "xpub", peer: "xsub", options: "upstream yes", listens: true, say: receiveUpstream},
	{verb: "req", peer: "rep", speaks: true, prints: true},
	{verb: "req", peer: "router", speaks: true, prints: true},
	{verb: "rep", flags: "--echo", peer: "req", counts: true},
	{verb: "rep", flags: "--echo", peer: "dealer", options: "delimiter yes", counts: true},
	{verb: "dealer", peer: "router", speaks: true, prints: true, counts: true},
	{verb: "dealer", peer: "dealer", options: "answer yes", speaks: true, prints: true, counts: true},
	{verb: "router", peer: "dealer", options: "identity peer", say: returnAll},
	{verb: "pair", peer: "pair", options: "answer yes", speaks: true, prints: true, counts: true},
}

// shortSizes are of messages that are written as text.
var shortSizes = []int{0, 1, 255, 256, 8192, 70_000}

// isPublished reports whether messages of a type of socket have a topic.
func isPublished(socketType string) bool { return strings.HasSuffix(socketType, "ub") }

// lines are the messages that pass, each as --format hex has them.
func (c *conversation) lines() []string {
	lines := make([]string, len(c.lengths()))
	for i := range lines {
		lines[i] = hexLine(c.message(i)...)
	}
	return lines
}

func hexLine(parts ...[]byte) string {
	words := make([]string, len(parts))
	for i, part := range parts {
		words[i] = hex.EncodeToString(part)
	}
	return strings.Join(words, "\t")
}

// TestVerbs has each verb of the command talk to libzmq and pyzmq, in a setting that differs from row to row.
func TestVerbs(t *testing.T) {
	for p, peer := range zeromqPeers[:2] {
		all := settings(peer)
		for r, row := range verbRows {
			setting := all[(5*r+7*p)%len(all)]
			t.Run(fmt.Sprintf("%s, %s to %s of %s, %s", row.verb, row.options, row.peer, peer.name, setting), func(t *testing.T) {
				t.Parallel()
				row.talk(t, peer, setting)
			})
		}
	}
}

func (r verbRow) talk(t *testing.T, peer zeromqPeer, s setting) {
	c := &conversation{seed: 17, parts: 3, sizes: shortSizes}
	if isPublished(r.peer) {
		c.topic = "news"
	}
	s.weListen = s.weListen || r.listens
	ours, theirs := mechanism(t, s)
	argv := append([]string{tincan(t), r.verb, "--json", "--format", "hex"}, strings.Fields(r.flags)...)
	argv = append(argv, securityFlags(ours)...)
	if r.counts {
		argv = append(argv, "--count", strconv.Itoa(len(c.sizes)))
	}
	var party *process
	launchParty := func(side, endpoint string) {
		words := append([]string{r.peer, side, endpoint}, slices.Concat(c.options(), strings.Fields(r.options), theirs)...)
		party = start(t, append(peer.program(t, "matrix_party"), words...)...)
	}
	endpoint := freeEndpoint(t, s.transport)
	if !s.weListen {
		launchParty("listen", endpoint)
		endpoint = party.await(party.out, listening)
		argv = append(argv, "--dial", endpoint)
	} else {
		argv = append(argv, "--listen", endpoint)
	}
	verb := start(t, argv...)
	if s.weListen {
		launchParty("dial", zeromqEndpoint(verb.await(verb.err, listeningEvent)))
	}
	if r.say != nil {
		r.say(verb, party, c)
		party.await(party.out, doneLine)
		party.end()
		return
	}
	if r.speaks {
		for _, text := range c.lines() {
			if r.peer == "sub" || r.peer == "xsub" {
				verb.say(hexLine([]byte("~other")) + "\n")
			}
			verb.say(text + "\n")
		}
		verb.end()
	}
	party.await(party.out, doneLine)
	verb.wantStatus(0)
	want := ""
	if r.prints {
		want = strings.Join(c.lines(), "\n") + "\n"
	}
	wantSame(t, verb.out.String(), want)
	party.end()
	party.wantStatus(0)
}

var (
	listeningEvent = regexp.MustCompile(`"event":"listening","url":"([^"]*)"`)
	joinedEvent    = regexp.MustCompile(`"event":"(connected|accepted)"`)
)

// securityFlags are the flags of the command for a mechanism.
func securityFlags(m zmtp.Mechanism) []string {
	switch m := m.(type) {
	case zmtp.PlainClient:
		return []string{"--plain", m.User + ":" + m.Password}
	case zmtp.PlainServer:
		for user, password := range m.Users {
			return []string{"--plain", user + ":" + password}
		}
	case zmtp.CurveServer:
		return []string{"--curve-secret-key", zmtp.EncodeKey(m.SecretKey), "--curve-allow", zmtp.EncodeKey(m.Clients[0])}
	case zmtp.CurveClient:
		return []string{"--curve-server-key", zmtp.EncodeKey(m.ServerKey), "--curve-secret-key", zmtp.EncodeKey(m.SecretKey)}
	}
	return nil
}

// wantLines waits for the lines, in this order, in the verb's output.
func (p *process) wantLines(lines []string) {
	p.t.Helper()
	p.await(p.out, line(lines[len(lines)-1]))
	got := strings.Split(strings.TrimSuffix(p.out.String(), "\n"), "\n")
	if !slices.Equal(got, lines) {
		p.t.Errorf("%s: %d lines, want %d, or others", p, len(got), len(lines))
	}
}

// followPub subscribes to a PUB, which can't know when that is: it publishes TOPIC? until it is told.
func followPub(verb, party *process, c *conversation) {
	probe := hexLine([]byte(c.topic + "?"))
	verb.await(verb.out, line(probe))
	party.say("go\n")
	last := c.lines()[len(c.lines())-1]
	verb.await(verb.out, line(last))
	got := slices.DeleteFunc(strings.Fields(strings.ReplaceAll(verb.out.String(), "\t", ",")), func(l string) bool { return l == probe })
	if want := strings.Fields(strings.ReplaceAll(strings.Join(c.lines(), "\n"), "\t", ",")); !slices.Equal(got, want) {
		verb.t.Errorf("%d messages came, want %d, or others", len(got), len(want))
	}
	verb.signal(syscall.SIGTERM)
	_ = verb.status() // it may have been done already
}

// sendUpstream has an xsub send to a publisher, which gets the subscription first.
func sendUpstream(verb, party *process, c *conversation) {
	verb.await(verb.err, joinedEvent)
	verb.say(strings.Join(c.lines(), "\n") + "\n")
	party.await(party.out, doneLine)
	verb.signal(syscall.SIGTERM)
	_ = verb.status() // it may have been done already
}

// receiveUpstream has an xpub print a subscription, and what is sent behind it.
func receiveUpstream(verb, _ *process, c *conversation) {
	verb.wantLines(append([]string{hexLine([]byte("\x01" + c.topic))}, c.lines()...))
	verb.terminate()
	verb.wantStatus(0)
}

// publishToFirst has an xpub print the subscription, and publish then.
func publishToFirst(verb, party *process, c *conversation) {
	verb.await(verb.out, line(hexLine([]byte("\x01"+c.topic))))
	verb.say(strings.Join(c.lines(), "\n") + "\n")
	party.await(party.out, doneLine)
	verb.end()
	verb.wantStatus(0)
}

// returnAll has a router print what comes, and send that back.
func returnAll(verb, party *process, c *conversation) {
	var want []string
	for _, text := range c.lines() {
		want = append(want, hexLine([]byte("peer"))+"\t"+text)
	}
	verb.wantLines(want)
	verb.say(strings.Join(want, "\n") + "\n")
	party.await(party.out, doneLine)
	verb.end()
	verb.wantStatus(0)
}

// TestTopics has the command's --topic on either side of a publication, with libzmq and pyzmq on the other.
func TestTopics(t *testing.T) {
	for _, peer := range zeromqPeers[:2] {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			pub := start(t, tincan(t), "pub", "--json", "--topic", "weather", "--wait-peers", "1", "tcp://127.0.0.1:0")
			sub := peer.launch(t, "notifications_subscriber", pub.await(pub.err, listeningEvent), "wea")
			pub.say("sunny\n")
			sub.await(sub.out, line("weather sunny"))
			pub.end()
			pub.wantStatus(0)

			theirs := peer.launch(t, "notifications_publisher", "tcp://127.0.0.1:0")
			theirs.say("sports draw\nweather rain\n")
			ours := start(t, tincan(t), "sub", "--topic", "weather", "--topic", "wind", "--count", "2", "--separator", " ", theirs.where(listening))
			ours.await(ours.out, line("weather rain"))
			theirs.say("traffic jam\nwind north\n")
			ours.wantStatus(0)
			wantSame(t, ours.out.String(), "weather rain\nwind north\n")
		})
	}
}

// TestProxy has the command stand between libzmq and pyzmq, which know it alone.
func TestProxy(t *testing.T) {
	for i, kind := range []struct{ name, front, back, frontOptions string }{
		{name: "queue", front: "req", back: "rep"},
		{name: "queue", front: "dealer", back: "rep", frontOptions: "delimiter yes"},
		{name: "forwarder", front: "pub", back: "sub"},
		{name: "streamer", front: "push", back: "pull"},
	} {
		for k, mechanismName := range []string{"NULL", "PLAIN", "CURVE"} {
			t.Run(fmt.Sprintf("%s, %s to %s, %s", kind.name, kind.front, kind.back, mechanismName), func(t *testing.T) {
				t.Parallel()
				c := &conversation{seed: 17, parts: 2, sizes: shortSizes}
				if isPublished(kind.back) {
					c.topic = "news"
				}
				ours, theirs := mechanism(t, setting{weListen: true, mechanism: mechanismName})
				argv := append([]string{tincan(t), "proxy", "--kind", kind.name}, securityFlags(ours)...)
				proxy := start(t, append(argv, "tcp://127.0.0.1:0", freeEndpoint(t, "ipc"))...)
				front, back := proxy.await(proxy.err, listening), proxy.await(proxy.err, listeningTwice)
				program := func(p zeromqPeer, side, endpoint, options string) *process {
					words := append([]string{side, "dial", zeromqEndpoint(endpoint)}, slices.Concat(c.options(), strings.Fields(options), theirs)...)
					return start(t, append(p.program(t, "matrix_party"), words...)...)
				}
				one, other := zeromqPeers[(i+k)%2], zeromqPeers[(i+k+1)%2]
				b := program(other, kind.back, back, "")
				f := program(one, kind.front, front, kind.frontOptions)
				if kind.name == "forwarder" {
					b.await(b.out, line("subscribed"))
					f.say("go\n")
				}
				for _, p := range []*process{f, b} {
					p.await(p.out, doneLine)
					p.end()
					p.wantStatus(0)
				}
				proxy.terminate()
				proxy.wantStatus(0)
			})
		}
	}
}
