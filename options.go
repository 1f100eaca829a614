package tincan

import (
	"io/fs"
	"net/netip"
	"time"
)

// Options are the settings of one endpoint. Each field is also a query key of
// an endpoint URL, in kebab-case: KeepAlive is "?keep-alive=30s". The zero
// value of a field means its default. A key of the URL wins over the same
// field of a [Dialer] or [ListenConfig].
type Options struct {
	// KeepAlive is the idle time after which TCP probes a silent peer.
	// Zero means 15 s; negative (in a URL "off") sends no probes.
	KeepAlive time.Duration
	// NoDelay turns Nagle's algorithm off (On, the default) or leaves it on (Off).
	NoDelay Toggle
	// RecvBuffer and SendBuffer size the kernel's buffers in bytes
	// (SO_RCVBUF, SO_SNDBUF). Zero leaves them to the system. For a datagram listener RecvBuffer
	// also bounds what is queued for one peer that isn't read; zero is 256 KiB there.
	RecvBuffer, SendBuffer Size
	// ReusePort lets several sockets listen on one port and share its load (SO_REUSEPORT).
	ReusePort bool
	// Backlog bounds the connections that wait to be accepted. Zero means the system's limit, for mem 128.
	Backlog int
	// Local is the address that a dialled socket is bound to: "host:port",
	// either part may be empty; for unixgram a path or @name. Empty lets the system choose.
	Local string

	// Mode is the permission of a listening Unix path. Zero means 0600.
	Mode fs.FileMode
	// AllowUID and AllowGID name the users and groups (primary group) whose processes
	// may connect to a Unix socket. Both empty allow everyone; a peer that either names may connect.
	AllowUID, AllowGID []uint32
	// Allow names the networks whose hosts may connect. Empty allows everyone.
	Allow []netip.Prefix
	// MaxConns bounds the connections open at once, MaxConnsPerSource those
	// of one source (IP address, or user of a Unix socket). Zero means no bound of ours.
	MaxConns, MaxConnsPerSource int

	// FlowTimeout ends the flow of a datagram peer that is silent both ways for so long. Zero means 60 s.
	FlowTimeout time.Duration
	// MaxFlows bounds the datagram peers a listener keeps at once. Zero means 1,024. A newcomer
	// beyond them is refused, rather than let in for the longest idle: else forged addresses could put out everyone.
	MaxFlows int
	// MaxMessage bounds one message in bytes on ws and mem. Zero means 16 MiB.
	MaxMessage Size

	// Format asks a message service for another form of its answers: sum takes "string".
	Format string

	// Cert and Key name PEM files with this side's certificate chain and private key.
	Cert, Key string
	// CA names a PEM file with the authorities that a client trusts. Empty means the system's.
	CA string
	// ServerName is the name that the server's certificate must carry. Empty means the URL's host.
	ServerName string
	// ClientCA names a PEM file; with it a server demands a certificate signed by one of these.
	ClientCA string
	// MinVersion is the lowest TLS version spoken, "1.2" or "1.3". Empty means "1.3".
	MinVersion string
	// HandshakeTimeout bounds the TLS and WebSocket handshakes of a connection. Zero means 10 s.
	HandshakeTimeout time.Duration

	// Query is sent as the query of the WebSocket request.
	Query string
	// Origin is sent as the Origin of the WebSocket request; for a listener, the only Origin host
	// besides its own that browsers may connect from ("*" for any).
	Origin string
	// Subprotocol is the WebSocket subprotocol to agree on.
	Subprotocol string
	// Text sends WebSocket messages as text frames; without it they are binary.
	Text bool
}

// Default values of [Options] fields that are zero.
const (
	DefaultKeepAlive        = 15 * time.Second
	DefaultFlowTimeout      = 60 * time.Second
	DefaultMaxFlows         = 1024
	DefaultMaxMessage       = 16 << 20
	DefaultHandshakeTimeout = 10 * time.Second
)

// A Toggle is a switch whose zero value leaves the default.
type Toggle int8

// The values of a [Toggle].
const (
	Default Toggle = iota
	On
	Off
)
