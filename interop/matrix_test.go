//go:build linux

package interop

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tincan-ipc/tincan/zmtp"
)

// A row of the matrix is a socket type of a peer with one of ours, and who begins.
type row struct {
	peer, ours string
	weAsk      bool     // of those that can do both: we ask and the peer answers
	options    []string // more words for the peer
	topic      string   // of what is published in the second round; in the first it is all
}

// rows are all the pairs that may talk, in both directions.
var rows = []row{
	{peer: "req", ours: "rep"},
	{peer: "req", ours: "server"},
	{peer: "req", ours: "router"},
	{peer: "rep", ours: "req"},
	{peer: "rep", ours: "client"},
	{peer: "rep", ours: "dealer", weAsk: true},
	{peer: "dealer", ours: "rep", options: []string{"delimiter", "yes"}},
	{peer: "dealer", ours: "server", options: []string{"delimiter", "yes"}},
	{peer: "dealer", ours: "dealer"},
	{peer: "dealer", ours: "dealer", weAsk: true, options: []string{"answer", "yes"}},
	{peer: "dealer", ours: "router"},
	{peer: "dealer", ours: "router", weAsk: true, options: []string{"answer", "yes", "identity", "peer"}},
	{peer: "router", ours: "req"},
	{peer: "router", ours: "client"},
	{peer: "router", ours: "dealer", weAsk: true},
	{peer: "router", ours: "dealer", options: []string{"to", "us"}},
	{peer: "router", ours: "router", options: []string{"to", "us", "identity", "peer"}},
	{peer: "router", ours: "router", weAsk: true, options: []string{"identity", "peer"}},
	{peer: "pub", ours: "sub", topic: "news"},
	{peer: "pub", ours: "xsub", topic: "news"},
	{peer: "xpub", ours: "sub", topic: "news"},
	{peer: "xpub", ours: "xsub", topic: "news"},
	{peer: "sub", ours: "pub", topic: "news"},
	{peer: "sub", ours: "xpub", topic: "news"},
	{peer: "xsub", ours: "pub", topic: "news"},
	{peer: "xsub", ours: "xpub", topic: "news"},
	{peer: "push", ours: "pull"},
	{peer: "pull", ours: "push"},
	{peer: "pair", ours: "pair"},
	{peer: "pair", ours: "pair", weAsk: true, options: []string{"answer", "yes"}},
}

func (r row) String() string {
	if r.weAsk {
		return r.ours + " asks " + r.peer
	}
	return r.peer + " to " + r.ours
}

// A setting is how a row is tried.
type setting struct {
	weListen             bool
	transport, mechanism string
}

func (s setting) String() string {
	who := "peer listens"
	if s.weListen {
		who = "we listen"
	}
	return who + " " + s.transport + " " + s.mechanism
}

// settings are all that a peer has.
func settings(peer zeromqPeer) []setting {
	transports, mechanisms := []string{"tcp", "ipc", "abstract"}, []string{"NULL", "PLAIN", "CURVE"}
	if peer.plain {
		transports, mechanisms = transports[:1], mechanisms[:1]
	}
	var all []setting
	for _, mechanism := range mechanisms {
		for _, transport := range transports {
			all = append(all, setting{false, transport, mechanism}, setting{true, transport, mechanism})
		}
	}
	return all
}

// full asks for every setting of every row, which takes a quarter of an hour. Without it
// each row has one setting for every peer, a different one from row to row.
var full = os.Getenv("TINCAN_MATRIX") == "full"

// TestMatrix talks to every implementation, through every legal pair of socket types, in
// the settings chosen. In each the peer is killed once all its messages have been
// checked, and another that comes in its place talks again.
func TestMatrix(t *testing.T) {
	for p, peer := range zeromqPeers {
		t.Run(peer.name, func(t *testing.T) {
			all := settings(peer)
			for r, row := range rows {
				chosen := all
				if !full {
					// 5 is no divisor of 18 settings: rows in turn take each of them.
					i := (5*r + p) % len(all)
					chosen = all[i : i+1]
				}
				for _, setting := range chosen {
					t.Run(row.String()+", "+setting.String(), func(t *testing.T) {
						t.Parallel()
						talk(t, peer, row, setting)
					})
				}
			}
		})
	}
}

// sizes of the parts: about every border of the frames and of our buffers.
var sizes = []int{0, 1, 254, 255, 256, 257, 8191, 8192, 65535, 65536, 65537, 262144, 1 << 20, 10 << 20}

// doneLine is what a party prints when it has checked its last message.
var doneLine = regexp.MustCompile(`(?m)^done$`)

// talk has both rounds of one setting.
func talk(t *testing.T, peer zeromqPeer, r row, s setting) {
	ours, theirs := mechanism(t, s)
	us := newSide(t, r, ours)
	side, endpoint := "listen", freeEndpoint(t, s.transport)
	if s.weListen {
		addr, err := us.Listen(t.Context(), endpoint)
		if err != nil {
			t.Fatal(err)
		}
		side, endpoint = "dial", zeromqEndpoint(addr.String())
	}
	for i, c := range []conversation{{seed: 17, parts: 1}, {seed: 171, parts: 3, topic: r.topic}} {
		us.follow(&c)
		options := slices.Concat(c.options(), r.options, theirs)
		p := start(t, append(peer.program(t, "matrix_party"), append([]string{r.peer, side, endpoint}, options...)...)...)
		if !s.weListen {
			bound := p.await(p.out, listening)
			if i == 0 {
				if err := us.Dial(bound); err != nil {
					t.Fatal(err)
				}
			}
			endpoint = bound // the next one listens there too
		}
		us.converse(&c, p)
		p.await(p.out, doneLine)
		if i == 0 {
			p.kill()
			us.awaitGone()
			continue
		}
		p.end()
		p.wantStatus(0)
	}
	if err := us.Close(); err != nil {
		t.Error(err)
	}
}

// A conversation is what is said in one round. Its messages are what a matrix_party
// makes of the same numbers.
type conversation struct {
	seed, parts int
	topic       string // that the first part begins with
	sizes       []int  // of the parts; nil are those above
}

func (c *conversation) lengths() []int {
	if c.sizes == nil {
		return sizes
	}
	return c.sizes
}

// period is that of the content: part p of message i is (seed + 31i + 7p + k) mod period.
const period = 251

var content = func() []byte {
	b := make([]byte, slices.Max(sizes)+period)
	for k := range b {
		b[k] = byte(k % period)
	}
	return b
}()

func (c *conversation) message(i int) [][]byte {
	parts, sizes := make([][]byte, c.parts), c.lengths()
	for p := range parts {
		start := (c.seed + 31*i + 7*p) % period
		parts[p] = content[start : start+sizes[(i+p)%len(sizes)]]
	}
	if c.topic != "" {
		parts[0] = append([]byte(c.topic), parts[0]...)
	}
	return parts
}

// options are the words that tell a party about the conversation.
func (c *conversation) options() []string {
	sizes := c.lengths()
	words := make([]string, len(sizes))
	for i, size := range sizes {
		words[i] = strconv.Itoa(size)
	}
	return []string{
		"count", strconv.Itoa(len(sizes)), "parts", strconv.Itoa(c.parts), "seed", strconv.Itoa(c.seed),
		"sizes", strings.Join(words, ","), "topic", c.topic,
	}
}

// same compares a message to the one it should be.
func same(got, want [][]byte) error {
	if !slices.EqualFunc(got, want, bytes.Equal) {
		return fmt.Errorf("a message with parts of %v bytes, want %v, or another content", lengths(got), lengths(want))
	}
	return nil
}

func lengths(parts [][]byte) []int {
	n := make([]int, len(parts))
	for i, part := range parts {
		n[i] = len(part)
	}
	return n
}

// mechanism returns our security and the words for the peer. Who listens is the server.
func mechanism(t *testing.T, s setting) (ours zmtp.Mechanism, theirs []string) {
	t.Helper()
	const user, password = "user", "pass:word"
	switch {
	case s.mechanism == "PLAIN" && s.weListen:
		return zmtp.PlainServer{Users: map[string]string{user: password}}, []string{"plain-client", user + ":" + password}
	case s.mechanism == "PLAIN":
		return zmtp.PlainClient{User: user, Password: password}, []string{"plain-server", user + ":" + password}
	case s.mechanism == "CURVE":
		server, client := newKeys(t), newKeys(t)
		if s.weListen {
			ours = zmtp.CurveServer{SecretKey: server.secret, Clients: [][32]byte{client.public}}
			return ours, []string{"curve-client", z85(server.public, client.public, client.secret)}
		}
		ours = zmtp.CurveClient{ServerKey: server.public, PublicKey: client.public, SecretKey: client.secret}
		return ours, []string{"curve-server", z85(server.secret, client.public)}
	}
	return nil, nil
}

type keys struct{ public, secret [32]byte }

func newKeys(t *testing.T) keys {
	t.Helper()
	public, secret, err := zmtp.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys{public, secret}
}

// z85 writes keys as a party takes them.
func z85(keys ...[32]byte) string {
	words := make([]string, len(keys))
	for i, key := range keys {
		words[i] = zmtp.EncodeKey(key)
	}
	return strings.Join(words, ",")
}
