package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/pattern"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/zmtp"
)

// socketFlags are the flags of the message verbs. Each verb has those that mean something to it.
type socketFlags struct {
	listen, dial []string
	format       string
	separator    string
	topics       []string
	count        countFlag
	timeout      time.Duration
	interval     time.Duration
	waitPeers    countFlag
	identity     string
	highWater    countFlag
	heartbeat    time.Duration
	backoff      tincan.Backoff
	limits       limitFlags
	security     securityFlags
	drain        time.Duration
	echo         bool      // of rep
	reply        replyFlag // of rep
}

func (f *socketFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.listen, "listen", nil, "listen on `URL`; may repeat")
	flags.StringArrayVar(&f.dial, "dial", nil, "dial `URL`, for as long as it takes; may repeat")
	flags.StringVar(&f.format, "format", "text", "a message as a line of `F`: text, hex or json")
	flags.StringVar(&f.separator, "separator", "\t", "what stands between the parts of a message in text and hex")
	flags.Var((*durationFlag)(&f.timeout), "timeout", "end after so long, whatever is going on")
	flags.StringVar(&f.identity, "identity", "", "the name by which a router knows this socket")
	f.addQueues(cmd)
	if err := cmd.RegisterFlagCompletionFunc("format", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{"text", "hex", "json"}, cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // the flag is not there: a fault of this program
	}
}

// addQueues adds the flags of every socket: its peers and what waits for them.
func (f *socketFlags) addQueues(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&f.highWater, "high-water", "queue at most `N` messages for each peer, and from each (1000)")
	flags.Var((*durationFlag)(&f.heartbeat), "heartbeat", "ask each peer for a sign of life every so often, and give up on it after as long")
	flags.Var((*backoffFlag)(&f.backoff), "backoff", "wait `MIN..MAX` between tries to reach a peer (100ms..2s)")
	f.drain = service.DefaultDrain
	flags.Var((*drainFlag)(&f.drain), "drain", "after a signal, let what is in flight finish for so long")
	f.limits.add(flags)
	f.security.add(cmd)
}

// addCount adds --count, with what is counted.
func (f *socketFlags) addCount(cmd *cobra.Command, what string) {
	cmd.Flags().Var(&f.count, "count", "end after `N` "+what)
}

func (f *socketFlags) addWaitPeers(cmd *cobra.Command) {
	cmd.Flags().Var(&f.waitPeers, "wait-peers", "send nothing until `N` peers are there")
}

func (f *socketFlags) addPublisher(cmd *cobra.Command) {
	cmd.Flags().Var(&f.waitPeers, "wait-peers", "send nothing until `N` subscriptions are there")
	cmd.Flags().StringArrayVar(&f.topics, "topic", nil, "put `T` before each message as a part")
}

func (f *socketFlags) addSubscriptions(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.topics, "topic", nil, "subscribe to messages that begin with `T`; may repeat")
}

// checkOneTopic refuses a second topic of a publisher.
func checkOneTopic(r *socketRun) error {
	if len(r.flags.topics) > 1 {
		return &usageError{problem: "a publisher puts one --topic before its messages", remedy: "leave --topic out and let each line of input begin with its own part"}
	}
	if len(r.flags.topics) == 1 {
		r.topic = []byte(r.flags.topics[0])
	}
	return nil
}

func (f *socketFlags) addPacing(cmd *cobra.Command) {
	cmd.Flags().Var((*durationFlag)(&f.interval), "interval", "wait so long between two messages")
}

// endpoints are the endpoints of a verb, whose positional ones are listened on, or dialled.
func (f *socketFlags) endpoints(positional []string, listens bool) (listen, dial []*tincan.Endpoint, err error) {
	for _, group := range []struct {
		urls   []string
		listen bool
	}{{positional, listens}, {f.listen, true}, {f.dial, false}} {
		for _, url := range group.urls {
			e, err := parseStreamEndpoint(url)
			if err != nil {
				return nil, nil, err
			}
			if group.listen {
				listen = append(listen, e)
			} else {
				dial = append(dial, e)
			}
		}
	}
	if len(listen)+len(dial) == 0 {
		return nil, nil, &usageError{problem: "an ENDPOINT is missing", remedy: "name one, such as tcp://127.0.0.1:5555 or ipc:///tmp/app.sock; --listen and --dial say which it is"}
	}
	return listen, dial, nil
}

// parseStreamEndpoint reads the URL of an endpoint that carries a byte stream, which ZMTP needs.
func parseStreamEndpoint(url string) (*tincan.Endpoint, error) {
	e, err := parseEndpoint(url)
	if err != nil {
		return nil, err
	}
	if !e.Streams() {
		return nil, &usageError{problem: fmt.Sprintf("message sockets need a byte stream, and %s carries messages of its own", e.Scheme), remedy: "use tcp, unix (ipc), tls or ws"}
	}
	return e, nil
}

// securityFlags choose the mechanism.
type securityFlags struct {
	plain     string
	serverKey curveKeyFlag
	secretKey curveKeyFlag
	allow     []string
}

const securityHelp = `Without a flag for it there is neither authentication nor encryption (NULL), nor
does a socket talk to peers that want some. --plain USER:PASSWORD is told to those that are
dialled, and asked of those that come: in clear text, for the same host or over
tls. CURVE encrypts: the server has --curve-secret-key, and lets in the keys of
--curve-allow, or without it whoever knows its public key; the client has
--curve-server-key, and --curve-secret-key where it is to be known (else it makes
a pair of its own). A KEY is 40 characters as "tincan curve-keys" makes them, or
@FILE that holds them.`

func (s *securityFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.plain, "plain", "", "authenticate by `USER:PASSWORD` (PLAIN), or by @FILE that holds these")
	flags.Var(&s.serverKey, "curve-server-key", "encrypt (CURVE), and talk only to the server with this public `KEY`")
	flags.Var(&s.secretKey, "curve-secret-key", "this side's secret `KEY`; without --curve-server-key this side is the server")
	flags.StringArrayVar(&s.allow, "curve-allow", nil, "let in the client with this public `KEY`; may repeat")
}

// mechanism gives the mechanism of a socket, nil for NULL.
func (s *securityFlags) mechanism(listens, dials bool) (zmtp.Mechanism, error) {
	curve := s.serverKey.set || s.secretKey.set || len(s.allow) > 0
	switch {
	case s.plain == "" && !curve:
		return nil, nil
	case s.plain != "" && curve:
		return nil, &usageError{problem: "--plain and --curve-... are two mechanisms", remedy: "a socket has one"}
	case s.plain != "":
		return s.plainMechanism(listens, dials)
	}
	return s.curveMechanism()
}

func (s *securityFlags) plainMechanism(listens, dials bool) (zmtp.Mechanism, error) {
	if listens && dials {
		return nil, &usageError{problem: "with --plain a socket is the server, which listens, or the client, which dials, not both", remedy: "leave out --listen or --dial"}
	}
	pair, err := valueOrFile(s.plain)
	if err != nil {
		return nil, err
	}
	user, password, ok := strings.Cut(pair, ":")
	switch {
	case !ok || user == "":
		return nil, &usageError{problem: "--plain is not USER:PASSWORD", remedy: "as in --plain alice:secret"}
	case len(user) > 255 || len(password) > 255:
		return nil, &usageError{problem: "--plain: the user or password is too long", remedy: "each has at most 255 bytes"}
	case listens:
		return zmtp.PlainServer{Users: map[string]string{user: password}}, nil
	}
	return zmtp.PlainClient{User: user, Password: password}, nil
}

func (s *securityFlags) curveMechanism() (zmtp.Mechanism, error) {
	if !s.serverKey.set {
		if !s.secretKey.set {
			return nil, &usageError{problem: "--curve-allow without --curve-secret-key", remedy: "the server needs its secret key; tincan curve-keys makes one"}
		}
		m := zmtp.CurveServer{SecretKey: s.secretKey.key}
		for _, text := range s.allow {
			var k curveKeyFlag
			if err := k.Set(text); err != nil {
				return nil, &usageError{problem: fmt.Sprintf("--curve-allow: %v", err), remedy: "it is the public key of a client"}
			}
			m.Clients = append(m.Clients, k.key)
		}
		return m, nil
	}
	if len(s.allow) > 0 {
		return nil, &usageError{problem: "--curve-allow is for the server, and --curve-server-key makes this side a client", remedy: "leave one out"}
	}
	m := zmtp.CurveClient{ServerKey: s.serverKey.key, SecretKey: s.secretKey.key}
	if s.secretKey.set {
		m.PublicKey = zmtp.PublicKey(m.SecretKey)
		return m, nil
	}
	var err error
	m.PublicKey, m.SecretKey, err = zmtp.GenerateKeys()
	return m, err
}

// curveKeyFlag is a key of CURVE.
type curveKeyFlag struct {
	key [32]byte
	set bool
}

func (k *curveKeyFlag) String() string { return "" } // it may be secret
func (k *curveKeyFlag) Type() string   { return "KEY" }

func (k *curveKeyFlag) Set(s string) error {
	text, err := valueOrFile(s)
	if err != nil {
		return err
	}
	if k.key, err = zmtp.DecodeKey(text); err != nil {
		return errors.New("it is not a key of 40 characters; tincan curve-keys makes one")
	}
	k.set = true
	return nil
}

// valueOrFile gives a secret itself, or the first line of @FILE: what stands
// on a command line others on the host can see.
func valueOrFile(s string) (string, error) {
	path, isFile := strings.CutPrefix(s, "@")
	if !isFile || len(s) == keyLength {
		return s, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", &usageError{problem: err.Error(), remedy: "@FILE names a file with the secret on its first line"}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// keyLength is that of a key as text, which may begin with @ itself.
const keyLength = 40

// replyFlag is a text, which may be empty.
type replyFlag struct {
	text string
	set  bool
}

func (r *replyFlag) String() string { return r.text }
func (r *replyFlag) Type() string   { return "TEXT" }

func (r *replyFlag) Set(s string) error {
	r.text, r.set = s, true
	return nil
}

// options makes the options of the socket.
func (f *socketFlags) options(p *program, m zmtp.Mechanism) *pattern.Options {
	c := p.socketConfig()
	lc := &tincan.ListenConfig{Config: c}
	f.limits.apply(&lc.Options)
	return &pattern.Options{
		Dialer: &tincan.Dialer{Config: c}, ListenConfig: lc,
		Identity: []byte(f.identity), Security: m,
		SendHighWater: int(f.highWater), RecvHighWater: int(f.highWater),
		Heartbeat: f.heartbeat, Backoff: f.backoff,
		Linger: -1, // until --timeout or a signal
	}
}
