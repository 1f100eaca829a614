package cli

import (
	"fmt"
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
)

// hooks gives the trace that makes events, the narration of --trace, or the
// few words that are said in any case.
func (r *reporter) hooks() *tincan.Trace {
	t := &tincan.Trace{
		Retrying: func(e *tincan.Endpoint, attempt int, wait time.Duration, err error) {
			if r.json {
				r.emit(event{Event: "retrying", URL: e.String(), Attempt: attempt, Seconds: wait.Seconds(), Error: err.Error()})
				return
			}
			r.line("", fmt.Sprintf("tincan: %v; trying again in %v", err, round(wait)))
		},
		Refused: func(listener, remote net.Addr, err error) {
			if r.json {
				r.emit(event{Event: "refused", URL: listener.String(), Remote: name(remote), Error: err.Error()})
				return
			}
			r.line("", fmt.Sprintf("tincan: refused %s on %s: %v", name(remote), listener, err))
		},
		Pausing: func(listener net.Addr, wait time.Duration, err error) {
			if r.json {
				r.emit(event{Event: "pausing", URL: listener.String(), Seconds: wait.Seconds(), Error: err.Error()})
				return
			}
			r.line("", fmt.Sprintf("tincan: %s accepts nobody for %v: %v", listener, round(wait), err))
		},
	}
	if r.json {
		r.addEvents(t)
	} else if r.trace {
		return narrate.Join(t, narrate.Steps(r.step))
	}
	return t
}

// addEvents makes t emit the events that have no words.
func (r *reporter) addEvents(t *tincan.Trace) {
	t.Accepted = func(listener net.Addr, c tincan.Conn) {
		r.emit(event{Event: "accepted", URL: listener.String(), Local: name(c.LocalAddr()), Remote: name(c.RemoteAddr())})
	}
	t.Dropped = func(listener, remote net.Addr, size int) {
		n := int64(size)
		r.emit(event{Event: "dropped", URL: listener.String(), Remote: name(remote), Received: &n})
	}
	t.HalfClosed = func(c tincan.Conn, side tincan.Side) {
		r.emit(event{Event: "half-closed", Local: name(c.LocalAddr()), Remote: name(c.RemoteAddr()), Side: side.String()})
	}
	t.Closed = func(c tincan.Conn, received, sent int64, err error) {
		e := event{Event: "closed", Local: name(c.LocalAddr()), Remote: name(c.RemoteAddr()), Received: &received, Sent: &sent}
		if err != nil {
			e.Error, e.Kind = err.Error(), tincan.KindOf(err).String()
		}
		r.emit(e)
	}
	if !r.trace {
		return
	}
	t.Resolved = func(host string, addrs []string, took time.Duration, err error) {
		r.emit(event{Event: "resolved", Host: host, Addresses: addrs, Seconds: took.Seconds(), Error: text(err)})
	}
	t.Connecting = func(network, addr string) {
		r.emit(event{Event: "connecting", Remote: network + " " + addr})
	}
	t.Connected = func(network, addr string, took time.Duration, err error) {
		r.emit(event{Event: "attempted", Remote: network + " " + addr, Seconds: took.Seconds(), Error: text(err)})
	}
	t.Handshaken = func(c tincan.Conn, layer string, took time.Duration, err error) {
		r.emit(event{Event: "handshaken", Layer: layer, Remote: name(c.RemoteAddr()), Seconds: took.Seconds(), Error: text(err)})
	}
}

// step writes a line of the narration: "+1.2ms connect 127.0.0.1:80 · connect(2)".
func (r *reporter) step(s narrate.Step) {
	r.line(dim, fmt.Sprintf("+%v %s", round(time.Since(r.start)), s))
}

// datagrams reports whether a scheme has neither connections nor an end.
func datagrams(scheme string) bool {
	switch scheme {
	case "udp", "udp4", "udp6", "unixgram":
		return true
	}
	return false
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func round(d time.Duration) time.Duration { return narrate.Round(d) }
