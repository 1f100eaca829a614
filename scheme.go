package tincan

import (
	"slices"
	"strings"
)

// family is a set of properties that decide which options a scheme takes.
type family uint

const (
	famTCP      family = 1 << iota // runs over TCP
	famUDP                         // UDP
	famUnix                        // a Unix socket, of any type
	famUnixConn                    // a Unix socket whose peers can be told by uid: stream or seqpacket
	famTLS                         // speaks TLS
	famWS                          // speaks WebSocket
	famFlow                        // datagrams: the listener keeps a table of peers
	famOther                       // vsock, npipe, mem
	famMem                         // in this process
	famLocal                       // a local address can be named when dialling
	famAccept                      // a listener of it accepts connections
	famAny      family = ^family(0)
)

// form is the shape of what follows "scheme:".
type form int

const (
	formHost form = iota // //host:port
	formPath             // a path, or @name
	formName             // a name
	formCID              // //cid:port
)

// scheme is one row of the table that the parser, the dialer and the
// listener all read: what an endpoint of that scheme looks like and can do.
type scheme struct {
	name     string
	form     form
	resource bool   // a request path may follow the address
	port     string // the default port, empty where one must be given
	under    string // the scheme of the connection it runs on, empty for a base
	streams  bool
	messages bool
	family   family
}

var schemes = []scheme{
	{name: "tcp", form: formHost, streams: true, family: famTCP | famLocal | famAccept},
	{name: "tcp4", form: formHost, streams: true, family: famTCP | famLocal | famAccept},
	{name: "tcp6", form: formHost, streams: true, family: famTCP | famLocal | famAccept},
	{name: "udp", form: formHost, messages: true, family: famUDP | famFlow | famLocal},
	{name: "udp4", form: formHost, messages: true, family: famUDP | famFlow | famLocal},
	{name: "udp6", form: formHost, messages: true, family: famUDP | famFlow | famLocal},
	{name: "unix", form: formPath, streams: true, family: famUnix | famUnixConn | famAccept},
	{name: "unixgram", form: formPath, messages: true, family: famUnix | famFlow | famLocal},
	{name: "unixpacket", form: formPath, messages: true, family: famUnix | famUnixConn | famAccept},
	{name: "tls+tcp", form: formHost, under: "tcp", streams: true, family: famTCP | famTLS | famLocal | famAccept},
	{name: "tls+unix", form: formPath, under: "unix", streams: true, family: famUnix | famUnixConn | famTLS | famAccept},
	{name: "ws", form: formHost, resource: true, port: "80", under: "tcp", streams: true, messages: true, family: famTCP | famWS | famLocal | famAccept},
	{name: "wss", form: formHost, resource: true, port: "443", under: "tls+tcp", streams: true, messages: true, family: famTCP | famTLS | famWS | famLocal | famAccept},
	{name: "ws+unix", form: formPath, resource: true, under: "unix", streams: true, messages: true, family: famUnix | famUnixConn | famWS | famAccept},
	{name: "vsock", form: formCID, streams: true, family: famOther | famAccept},
	{name: "npipe", form: formName, streams: true, family: famOther | famAccept},
	{name: "mem", form: formName, streams: true, messages: true, family: famOther | famMem},
}

// schemeAliases are other spellings that users bring along.
var schemeAliases = map[string]string{
	"tls": "tls+tcp",
	"ipc": "unix", // ZeroMQ's name for a Unix stream socket
}

// schemeByName finds the row of name, nil where there is none.
func schemeByName(name string) *scheme {
	if full, ok := schemeAliases[name]; ok {
		name = full
	}
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &schemes[i]
}

// schemeNames lists every scheme for error messages.
func schemeNames() string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}
