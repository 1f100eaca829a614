package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
	"github.com/tincan-ipc/tincan/internal/local"
)

// A relaySide is FROM or one TO: one of the three is set.
type relaySide struct {
	word     string
	endpoint *tincan.Endpoint
	end      *local.End
	program  []string
	packets  bool // end's sockets carry messages
}

func (s *relaySide) isLocal() bool { return s.endpoint == nil }
func (s *relaySide) streams() bool {
	if s.isLocal() {
		return !s.packets
	}
	return s.endpoint.Streams()
}

func (s *relaySide) messages() bool {
	if s.isLocal() {
		return s.packets
	}
	return s.endpoint.Messages()
}

// sole reports whether there is but one of it, so that one client at most can be served.
func (s *relaySide) sole() bool {
	return s.end != nil && (s.end.Scheme == "stdio" || s.end.Scheme == "fd")
}

// A relayPlan is what the words of relay ask for.
type relayPlan struct {
	from relaySide
	to   []relaySide // several only of endpoints
	// messages says that messages pass, with framing on the sides that carry streams alone.
	messages bool
	framing  frame.Framing
}

// planRelay reads the words. Nothing is opened before all are known to be right.
func planRelay(cmd *cobra.Command, f *relayFlags, args []string) (*relayPlan, error) {
	if err := arguments(true, "FROM", "TO")(cmd, args); err != nil {
		return nil, err
	}
	pl := &relayPlan{}
	words := args[1:]
	if dash := cmd.ArgsLenAtDash(); words[0] == "exec" {
		if dash != 2 || len(args) < 3 {
			return nil, &usageError{problem: "exec needs -- and a program behind it", remedy: "tincan relay FROM exec -- PROGRAM ARG..."}
		}
		pl.to = []relaySide{{word: words[1], program: words[1:]}}
		words = nil
	} else if dash >= 0 {
		return nil, &usageError{problem: "-- is for the words of a program, which follow exec", remedy: "tincan relay FROM exec -- PROGRAM ARG..."}
	}
	var err error
	if pl.from, err = parseSide(args[0], local.From); err != nil {
		return nil, err
	}
	for _, word := range words {
		to, err := parseSide(word, local.To)
		if err != nil {
			return nil, err
		}
		if pl.to = append(pl.to, to); len(words) > 1 && to.isLocal() {
			return nil, &usageError{problem: fmt.Sprintf("several TO are for URLs, and %s is none", word), remedy: "name it alone"}
		}
	}
	if err := pl.decideKind(f.frame); err != nil {
		return nil, err
	}
	if err := f.proxies.check(cmd, pl); err != nil {
		return nil, err
	}
	return pl, pl.checkFlags(cmd)
}

func parseSide(word string, role local.Role) (relaySide, error) {
	if word == "exec" {
		return relaySide{}, &usageError{problem: "exec can only be TO, and the last words", remedy: "tincan relay FROM exec -- PROGRAM ARG..."}
	}
	if word == "-" {
		return relaySide{}, &usageError{problem: "- is no side of a relay", remedy: "standard input and output are stdio:"}
	}
	end, ok, err := local.Parse(word, role)
	if err != nil {
		return relaySide{}, err
	}
	if ok {
		streams, messages := end.Carries()
		if streams && messages {
			return relaySide{}, &usageError{
				problem: word + " is several sockets, some for streams and some for messages",
				remedy:  "relay each by a name of its own (FileDescriptorName= of its unit)",
			}
		}
		return relaySide{word: word, end: end, packets: messages}, nil
	}
	e, err := parseEndpoint(word)
	return relaySide{word: word, endpoint: e}, err
}

// decideKind settles whether bytes or messages pass.
func (pl *relayPlan) decideKind(framing string) error {
	sides := append([]relaySide{pl.from}, pl.to...)
	find := func(is func(*relaySide) bool) *relaySide {
		i := slices.IndexFunc(sides, func(s relaySide) bool { return is(&s) })
		if i < 0 {
			return nil
		}
		return &sides[i]
	}
	stream := find(func(s *relaySide) bool { return !s.messages() })
	message := find(func(s *relaySide) bool { return !s.streams() })
	either := find(func(s *relaySide) bool { return s.messages() && s.streams() })
	pl.messages = message != nil || framing != "" && either != nil
	switch {
	case framing == "" && stream != nil && message != nil:
		return &usageError{
			problem: fmt.Sprintf("%s is a byte stream, and %s carries messages", stream.word, message.word),
			remedy:  "say how messages are told apart in the stream: --frame line, nul, len16, len32 or uvarint",
		}
	case framing == "":
		return nil
	case !pl.messages:
		return &usageError{problem: "--frame is for where a stream meets messages, and both sides are streams", remedy: "leave --frame out"}
	case stream == nil && either == nil:
		return &usageError{problem: "--frame is for where a stream meets messages, and both sides carry messages", remedy: "leave --frame out"}
	}
	var err error
	pl.framing, err = parseFraming(framing)
	return err
}

// checkFlags refuses flags that would do nothing.
func (pl *relayPlan) checkFlags(cmd *cobra.Command) error {
	to := &pl.to[0]
	for _, rule := range []struct {
		works bool
		why   string
		flags []string
	}{
		{!to.isLocal(), "is for a TO that is dialled", []string{"retry", "backoff", "connect-timeout"}},
		{len(pl.to) > 1, "is for several TO", []string{"balance"}},
		{to.program != nil, "is for exec", []string{"pty"}},
		{!pl.from.isLocal() || pl.from.mayListen(), "is for a FROM that is listened on", []string{"max-conns", "max-conns-per-source"}},
		{!pl.from.isLocal() || pl.from.mayListen() || to.program != nil, "is for a FROM that is listened on, and for exec", []string{"drain"}},
	} {
		for _, name := range rule.flags {
			if !rule.works && cmd.Flags().Changed(name) {
				return &usageError{problem: "--" + name + " " + rule.why, remedy: "leave it out"}
			}
		}
	}
	if err := checkBackoff(cmd); err != nil {
		return err
	}
	if to.sole() && pl.from.end != nil && pl.from.end.String() == to.end.String() {
		return &usageError{problem: to.word + " can't be both sides", remedy: "usage: " + cmd.UseLine()}
	}
	return nil
}

// mayListen reports whether s may turn out to be a socket that listens.
func (s *relaySide) mayListen() bool {
	return s.end != nil && (s.end.Scheme == "fd" || s.end.Scheme == "systemd")
}
