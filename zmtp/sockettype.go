package zmtp

import "fmt"

// A SocketType is what a socket is for, and so whom it may talk to. The values
// are those on the wire of 2.0 (15/ZMTP, Formal Grammar, and libzmq for the last two).
type SocketType byte

// The socket types.
const (
	Pair SocketType = iota
	Pub
	Sub
	Req
	Rep
	Dealer
	Router
	Pull
	Push
	XPub
	XSub
)

var typeNames = [...]string{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"}

// accepted holds for each type a bit for each type that it talks to.
var accepted = [...]uint16{
	Pair:   1 << Pair,
	Pub:    1<<Sub | 1<<XSub,
	Sub:    1<<Pub | 1<<XPub,
	Req:    1<<Rep | 1<<Router,
	Rep:    1<<Req | 1<<Dealer,
	Dealer: 1<<Rep | 1<<Dealer | 1<<Router,
	Router: 1<<Req | 1<<Dealer | 1<<Router,
	Pull:   1 << Push,
	Push:   1 << Pull,
	XPub:   1<<Sub | 1<<XSub,
	XSub:   1<<Pub | 1<<XPub,
}

// String gives the name on the wire, as PAIR.
func (t SocketType) String() string {
	if !t.valid() {
		return fmt.Sprintf("socket type %d", byte(t))
	}
	return typeNames[t]
}

// ParseSocketType reads a name as [SocketType.String] gives it; ok is false where it is none.
func ParseSocketType(name string) (t SocketType, ok bool) {
	for i, n := range typeNames {
		if n == name {
			return SocketType(i), true
		}
	}
	return 0, false
}

// Accepts reports whether a socket of type t may talk to one of type peer
// (37/ZMTP, The Socket-Type Property). It is the same the other way round.
func (t SocketType) Accepts(peer SocketType) bool {
	return t.valid() && peer.valid() && accepted[t]&(1<<peer) != 0
}

func (t SocketType) valid() bool { return int(t) < len(typeNames) }

// announces reports whether sockets of the type always send the property
// Identity, be it empty, as libzmq's do.
func (t SocketType) announces() bool { return t == Req || t == Dealer || t == Router }
