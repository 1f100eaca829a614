package pattern

import (
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/zmtp"
)

// Options are the settings of a socket. The zero value works, and so does nil. They are read
// when the socket is made; what they point to must not change afterwards.
type Options struct {
	// Dialer connects, without its Retry and Backoff. Nil is the zero Dialer. An attempt is
	// bounded by its Timeout, and where that is zero by HandshakeTimeout.
	Dialer *tincan.Dialer
	// ListenConfig listens. Nil is the zero ListenConfig.
	ListenConfig *tincan.ListenConfig
	// Identity names this socket to its peers, 1 to 255 bytes of which the first isn't 0.
	// A Router addresses its peers by it. Empty lets the Router make one up.
	Identity []byte
	// Security is the mechanism that connections are made with, those that are dialled and those that come: one of
	// [zmtp.PlainClient], [zmtp.PlainServer], [zmtp.CurveClient] and [zmtp.CurveServer], of which the peers
	// have the other side. Nil is NULL: neither authentication nor encryption.
	Security zmtp.Mechanism

	// SendHighWater and RecvHighWater bound the messages that wait for one peer, and those
	// from one peer that wait to be received. What is being written, and what one read brought
	// along, comes on top. Zero or negative means 1,000.
	SendHighWater, RecvHighWater int
	// SendBytes and RecvBytes bound the same in bytes, with their frame headers. A single message may be longer.
	// Zero or negative means 16 MiB; of SendBytes where Send waits for room, and doesn't drop, 2 MiB: what
	// waits longer has left the processor's cache when it is written.
	SendBytes, RecvBytes int
	// MaxMessage bounds the bytes of a received message, all parts together. A peer that sends
	// a longer one loses its connection. Zero or negative means 16 MiB.
	MaxMessage int64
	// MaxParts bounds the parts of a received message in the same way. Zero or negative means 1,024.
	MaxParts int

	// Linger bounds how long Close waits for queued messages to be sent.
	// Zero discards them at once; negative waits without limit.
	Linger time.Duration
	// HandshakeTimeout bounds all that comes before messages: TLS, WebSocket and ZMTP handshakes. Zero
	// or negative means 30 s.
	HandshakeTimeout time.Duration
	// Heartbeat is how often a PING is sent to each peer of 3.1 or later. Zero or negative sends none;
	// a host that is gone is then found by TCP's keep-alive only.
	Heartbeat time.Duration
	// HeartbeatTimeout is how long after a PING something must have come from the peer, else
	// its connection ends. Zero or negative means the same as Heartbeat.
	HeartbeatTimeout time.Duration
	// HeartbeatTTL tells the peer to end the connection when it hears nothing for so long. At most 65.5 s
	// are sent. Zero or negative tells it nothing.
	HeartbeatTTL time.Duration
	// Backoff is the wait before a lost connection, or a failed attempt, is tried again. It begins
	// anew once a connection has stood.
	Backoff tincan.Backoff

	// Handover lets a newcomer take the identity of a Router's peer, whose connection then ends. Without
	// it the newcomer is refused.
	Handover bool
	// DropUnroutable makes a Router drop and count messages for peers that it doesn't have, as libzmq's
	// do, in place of [ErrUnroutable].
	DropUnroutable bool
	// Handlers bounds the requests that Serve of a Rep or Server handles at once. One means that the
	// handler is called inline, without a goroutine of its own, which is the fastest for handlers
	// that don't wait. Zero or negative means 1,024.
	Handlers int

	// NoDrop makes Send of a Pub or XPub wait while a peer that subscribed to the message has no room, in place
	// of dropping it for that peer. One subscriber that doesn't read then holds up all.
	NoDrop bool
	// Verbose makes an XPub receive every subscription and cancellation of every peer, not only the first and
	// the last of each topic; while RecvHighWater of them wait, the others are left out again. It
	// makes an XSub tell its publishers of every subscription, not only the first of each topic.
	Verbose bool
	// MaxSubscriptions bounds the topics that one peer may hold at a Pub or XPub, MaxTopic the bytes
	// of each. A peer that asks for more loses its connection. Zero or negative means 65,536 topics and 1,024 bytes.
	MaxSubscriptions, MaxTopic int
	// OnSubscribe lets a Pub or XPub send a new subscriber what it would else have missed, such as current values. It is
	// called when a peer subscribes to a topic that it didn't hold, with a function that sends to
	// that peer alone. What is published meanwhile, and the peer wants, it gets after what that function sent;
	// what was published before the call is for OnSubscribe to send.
	//
	// The function waits while the peer's queue is full; its error, once the peer or the socket is gone, is
	// [net.ErrClosed]. It may be called until OnSubscribe returns. OnSubscribe is called from the peer's
	// reader, several at once for different peers. It may publish, but not close the socket. A
	// program that publishes with a lock held must not hold that lock while it sends: what is held back has bounds too.
	OnSubscribe func(topic string, send func(parts ...[]byte) error)
	// OnSubscribing is OnSubscribe for a program that has to know between which two messages a subscription takes effect: that is
	// when it calls take, which tells whether the topic is new to the peer; where it isn't, or is refused, nothing may be sent. A program that
	// holds the lock that it publishes with while it calls take and looks at its values sends neither too old a value nor too few.
	// Where it returns without a call, take is called for it. OnSubscribe is then not called.
	OnSubscribing func(topic string, take func() bool, send func(parts ...[]byte) error)
	// EndSlow makes a Pub or XPub end the connection of a peer for which a message was dropped. A subscriber dials again
	// by itself, and OnSubscribe can then send it all that it missed.
	EndSlow bool

	// OnEvent is told what happens. It is called from the goroutine in which it happens, several
	// at once, and must neither block nor close the socket. Nil is nobody.
	OnEvent func(Event)
}

// Default values of [Options] fields that are zero.
const (
	DefaultHighWater        = 1000
	DefaultQueueBytes       = 16 << 20
	DefaultSendBytes        = 2 << 20 // of SendBytes, but for a Pub or XPub without NoDrop
	DefaultMaxMessage       = 16 << 20
	DefaultMaxParts         = 1024
	DefaultHandshakeTimeout = 30 * time.Second
	DefaultHandlers         = 1024
	DefaultMaxSubscriptions = 65536
	DefaultMaxTopic         = 1024
)

// withDefaults gives a copy of o, which may be nil, for a socket of a type, in which no field that has a default is zero.
func (o *Options) withDefaults(kind zmtp.SocketType) Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Dialer == nil {
		c.Dialer = &tincan.Dialer{}
	}
	setDefault(&c.SendHighWater, DefaultHighWater)
	setDefault(&c.RecvHighWater, DefaultHighWater)
	if (kind == zmtp.Pub || kind == zmtp.XPub) && !c.NoDrop {
		setDefault(&c.SendBytes, DefaultQueueBytes)
	}
	setDefault(&c.SendBytes, DefaultSendBytes)
	setDefault(&c.RecvBytes, DefaultQueueBytes)
	setDefault(&c.MaxMessage, DefaultMaxMessage)
	setDefault(&c.MaxParts, DefaultMaxParts)
	setDefault(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&c.Heartbeat, 0)
	setDefault(&c.HeartbeatTimeout, c.Heartbeat)
	setDefault(&c.HeartbeatTTL, 0)
	setDefault(&c.Handlers, DefaultHandlers)
	setDefault(&c.MaxSubscriptions, DefaultMaxSubscriptions)
	setDefault(&c.MaxTopic, DefaultMaxTopic)
	once := *c.Dialer
	once.Retry = false
	setDefault(&once.Timeout, c.HandshakeTimeout)
	c.Dialer = &once
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
