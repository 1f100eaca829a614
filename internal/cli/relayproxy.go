package cli

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
)

// proxyFlag is the URL of a proxy.
type proxyFlag struct {
	*relay.Proxy
	err error // what is wrong with it: the flag parser would tell it with the password
}

func (f *proxyFlag) String() string {
	if f.Proxy == nil {
		return ""
	}
	return f.Proxy.String()
}
func (f *proxyFlag) Type() string { return "URL" }

func (f *proxyFlag) Set(s string) error {
	f.Proxy, f.err = relay.ParseProxy(s)
	return nil
}

const proxyUsage = "connect through the proxy `URL`: socks5://[user:password@]host:port or http://..."

// reach makes c dial e through the proxy, where there is one.
func (f *proxyFlag) reach(c *tincan.Config, e *tincan.Endpoint) error {
	if f.Proxy == nil || f.err != nil {
		return f.err
	}
	if !runsOn(e, "tcp", "tcp4", "tcp6") {
		return &usageError{problem: "--proxy is for tcp, and " + e.Scheme + " does not run on it", remedy: "leave --proxy out, or use tcp, tls, ws or wss"}
	}
	f.AddTo(c)
	return nil
}

// proxyHint is for what a proxy, and not the peer, has to do with.
func proxyHint(err error) string {
	var p *relay.ProxyError
	switch {
	case !errors.As(err, &p):
		return ""
	case errors.Is(err, fs.ErrPermission):
		return "see the proxy's rules, or name a user: --proxy " + strings.Replace(p.Proxy, "://", "://USER:PASSWORD@", 1)
	case p.Status == 0 && errors.Is(err, errRefused):
		return "is the proxy running there?"
	}
	return ""
}

// runsOn reports whether the lowest layer of e is one of schemes.
func runsOn(e *tincan.Endpoint, schemes ...string) bool {
	for {
		under, ok := e.Under()
		if !ok {
			return slices.Contains(schemes, e.Scheme)
		}
		e = under
	}
}

// relayProxyFlags are those of relay that have to do with proxies.
type relayProxyFlags struct {
	proxy        proxyFlag
	sendHeader   headerFlag
	acceptHeader bool
}

func (f *relayProxyFlags) add(flags *pflag.FlagSet) {
	flags.Var(&f.proxy, "proxy", proxyUsage)
	flags.Var(&f.sendHeader, "send-proxy", "tell TO who the client is, by a header of the PROXY protocol, `v1|v2`")
	flags.BoolVar(&f.acceptHeader, "accept-proxy", false, "demand a header of the PROXY protocol, v1 or v2, from each client")
}

// headerFlag is a version of the PROXY protocol.
type headerFlag int

func (f *headerFlag) String() string { return map[headerFlag]string{1: "v1", 2: "v2"}[*f] }
func (f *headerFlag) Type() string   { return "v1|v2" }

func (f *headerFlag) Set(s string) error {
	switch s {
	case "v1":
		*f = 1
	case "v2":
		*f = 2
	default:
		return errors.New("it is neither v1 nor v2")
	}
	return nil
}

const relayProxyHelp = `--proxy reaches TO through a SOCKS5 or HTTP proxy, which looks up TO's name.
Proxies that relay to each other tell who the client is by the PROXY protocol
(HAProxy's): --send-proxy begins each connection to TO with such a header, below
TLS, and --accept-proxy demands one from each client, within 5 s, and refuses who
sends none. What it says is the client's address from then on: in what is told, in
TINCAN_REMOTE, and in what --send-proxy sends on. As anybody can claim any address,
let only proxies connect: ?allow= and --max-conns-per-source are about them.`

// check refuses what the sides of pl can't do.
func (f *relayProxyFlags) check(cmd *cobra.Command, pl *relayPlan) error {
	if f.proxy.err != nil {
		return f.proxy.err
	}
	for i := range pl.to {
		to := &pl.to[i]
		for _, rule := range []struct {
			flag, what, use string
			schemes         []string
		}{
			{"proxy", "tcp", "tcp, tls, ws or wss", []string{"tcp", "tcp4", "tcp6"}},
			{"send-proxy", "tcp or a Unix stream socket", "tcp, unix, tls or ws", []string{"tcp", "tcp4", "tcp6", "unix"}},
		} {
			if cmd.Flags().Changed(rule.flag) && (to.isLocal() || !runsOn(to.endpoint, rule.schemes...)) {
				return &usageError{
					problem: "--" + rule.flag + " is for a TO over " + rule.what + ", and " + to.word + " is none",
					remedy:  "leave it out, or use " + rule.use,
				}
			}
		}
	}
	from := &pl.from
	inherited := from.mayListen() && from.streams()
	if f.acceptHeader && !inherited && (from.isLocal() || !runsOn(from.endpoint, "tcp", "tcp4", "tcp6", "unix")) {
		return &usageError{
			problem: "--accept-proxy is for a FROM over tcp or a Unix stream socket, and " + from.word + " is none",
			remedy:  "leave it out, or use tcp, unix, tls or ws",
		}
	}
	return nil
}

// dialling makes c dial TO as the flags say: the header goes through the proxy.
func (f *relayProxyFlags) dialling(c *tincan.Config) {
	if f.proxy.Proxy != nil {
		f.proxy.AddTo(c)
	}
	if f.sendHeader != 0 {
		relay.SendHeader{Version: int(f.sendHeader)}.AddTo(c)
	}
}

// listening makes c listen on FROM as the flags say.
func (f *relayProxyFlags) listening(c *tincan.Config) {
	if f.acceptHeader {
		relay.AcceptHeader{}.AddTo(c)
	}
}

// inherited gives an inherited listener the same.
func (f *relayProxyFlags) inherited(ln net.Listener, t *tincan.Trace) net.Listener {
	if !f.acceptHeader {
		return ln
	}
	return (&relay.AcceptHeader{}).Listener(ln, t)
}

// inheritedConn gives an inherited connection the same.
func (f *relayProxyFlags) inheritedConn(c net.Conn, t *tincan.Trace) net.Conn {
	if !f.acceptHeader {
		return c
	}
	return (&relay.AcceptHeader{}).Conn(c, t)
}
