// Package narrate tells a connection's steps in words, each with the system
// call behind it. The command's --trace prints them, its dashboard draws them.
package narrate

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
)

// A Kind is what a step is.
type Kind string

// The kinds of steps.
const (
	Resolve   Kind = "resolve"
	Socket    Kind = "socket"
	Connect   Kind = "connect"
	Connected Kind = "connected" // or failed to
	Handshake Kind = "handshake"
	Wait      Kind = "wait"
	Bind      Kind = "bind"
	Listen    Kind = "listen"
	Accept    Kind = "accept"
	Abort     Kind = "abort" // of a peer that is turned away
	Pause     Kind = "pause"
	Drop      Kind = "drop"
	HalfClose Kind = "half-close"
	Close     Kind = "close"
	Reset     Kind = "reset"
)

// A Step is one step of a connection's life.
type Step struct {
	Kind Kind
	// What happens, the system Call behind it and the Result; these two may be empty.
	What, Call, Result string

	// Conn is the connection, nil as long as there is none.
	Conn tincan.Conn
	// Listener is where it came in, Remote the peer's address; either may be nil.
	Listener, Remote net.Addr
	// Side is the one that ended its sending, of a HalfClose.
	Side tincan.Side
	// Layer is what a Handshake was of.
	Layer string
	// Network is what is connected over, such as "unix", of Socket, Connect and Connected.
	Network string
	// Took is how long it took, 0 where that is not known.
	Took time.Duration
	// Received and Sent are the bytes of a connection that ended.
	Received, Sent int64
	// Err is why it failed.
	Err error
}

// Steps gives the trace that tells each step. tell must not block, and is called from several goroutines.
func Steps(tell func(Step)) *tincan.Trace {
	return &tincan.Trace{
		Resolved: func(host string, addrs []string, took time.Duration, err error) {
			tell(Step{Kind: Resolve, What: "resolve " + host, Call: "getaddrinfo(3)", Result: Outcome(strings.Join(addrs, " "), took, err), Took: took, Err: err})
		},
		Connecting: func(network, addr string) {
			tell(Step{Kind: Socket, What: "socket " + network, Call: "socket(2)", Network: network})
			tell(Step{Kind: Connect, What: "connect " + addr, Call: "connect(2)", Network: network})
		},
		Connected: func(network, addr string, took time.Duration, err error) {
			tell(Step{Kind: Connected, What: "connected " + addr, Call: "connect(2)", Result: Outcome("", took, err), Network: network, Took: took, Err: err})
		},
		Handshaken: func(c tincan.Conn, layer string, took time.Duration, err error) {
			tell(Step{
				Kind: Handshake, What: layer + " handshake with " + Name(c.RemoteAddr()), Call: "read(2), write(2)", Result: Outcome("", took, err),
				Conn: c, Layer: layer, Took: took, Err: err,
			})
		},
		Retrying: func(_ *tincan.Endpoint, attempt int, wait time.Duration, err error) {
			tell(Step{Kind: Wait, What: fmt.Sprintf("wait %v after attempt %d", Round(wait), attempt), Took: wait, Err: err})
		},
		Listening: func(addr net.Addr) {
			tell(Step{Kind: Bind, What: "bind " + addr.String(), Call: "socket(2), bind(2)", Listener: addr})
			if !datagrams(addr.Network()) {
				tell(Step{Kind: Listen, What: "listen " + addr.String(), Call: "listen(2)", Listener: addr})
			}
		},
		Accepted: func(listener net.Addr, c tincan.Conn) {
			call := "accept(2)"
			if datagrams(listener.Network()) {
				call = "recvmsg(2)" // a new peer shows by what it sends
			}
			tell(Step{
				Kind: Accept, What: "accept " + Name(c.RemoteAddr()) + " on " + listener.String(), Call: call,
				Conn: c, Listener: listener, Remote: c.RemoteAddr(),
			})
		},
		Refused: func(listener, remote net.Addr, err error) {
			tell(Step{Kind: Abort, What: "abort " + Name(remote), Call: "close(2)", Listener: listener, Remote: remote, Err: err})
		},
		Pausing: func(listener net.Addr, wait time.Duration, err error) {
			tell(Step{Kind: Pause, What: "accept on " + listener.String(), Call: "accept(2)", Result: text(err), Listener: listener, Took: wait, Err: err})
		},
		Dropped: func(listener, remote net.Addr, size int) {
			tell(Step{
				Kind: Drop, What: fmt.Sprintf("drop %d bytes from %s", size, Name(remote)), Result: "its queue is full",
				Listener: listener, Remote: remote,
			})
		},
		HalfClosed: func(c tincan.Conn, side tincan.Side) {
			s := Step{Kind: HalfClose, What: "half-close to " + Name(c.RemoteAddr()), Call: "shutdown(2)", Conn: c, Side: side}
			if side == tincan.Remote {
				s.What, s.Call = "half-close from "+Name(c.RemoteAddr()), "read(2) = 0"
			}
			tell(s)
		},
		Closed: func(c tincan.Conn, received, sent int64, err error) {
			tell(End(c, Name(c.RemoteAddr()), received, sent, err))
		},
	}
}

// End gives the step that ends c, whose peer is called peer: in order, or for the reason err.
func End(c tincan.Conn, peer string, received, sent int64, err error) Step {
	s := Step{Kind: Close, What: "close " + peer, Call: "close(2)", Conn: c, Received: received, Sent: sent, Err: err}
	if tincan.KindOf(err) == tincan.KindReset {
		s.Kind, s.What, s.Call = Reset, "reset "+peer, "read(2) or write(2)"
	}
	s.Result = Outcome(fmt.Sprintf("received %d, sent %d", received, sent), 0, err)
	return s
}

// String gives the step in one line: "connect 127.0.0.1:80 · connect(2)".
func (s Step) String() string {
	line := s.What
	for _, more := range []string{s.Call, s.Result} {
		if more != "" {
			line += " · " + more
		}
	}
	return line
}

// Name writes an address for people; an unnamed Unix peer has none.
func Name(a net.Addr) string {
	if a == nil || a.String() == "" || a.String() == "@" {
		return "(unnamed)"
	}
	return a.String()
}

// Round keeps the digits of d that tell something.
func Round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// datagrams reports whether a scheme has neither connections nor an end.
func datagrams(scheme string) bool {
	switch scheme {
	case "udp", "udp4", "udp6", "unixgram":
		return true
	}
	return false
}

// Outcome joins what a step found, how long it took and how it failed; each may be its zero value.
func Outcome(found string, took time.Duration, err error) string {
	var words []string
	if found != "" {
		words = append(words, found)
	}
	if took > 0 {
		words = append(words, "in "+Round(took).String())
	}
	if err != nil {
		words = append(words, err.Error())
	}
	return strings.Join(words, ", ")
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
