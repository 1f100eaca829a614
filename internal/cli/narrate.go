package cli

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
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
		r.addNarration(t)
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

// addNarration makes t tell each step with the system call behind it.
func (r *reporter) addNarration(t *tincan.Trace) {
	retrying, refused, pausing := t.Retrying, t.Refused, t.Pausing
	t.Resolved = func(host string, addrs []string, took time.Duration, err error) {
		r.step("resolve "+host, "getaddrinfo(3)", outcome(strings.Join(addrs, " "), took, err))
	}
	t.Connecting = func(network, addr string) {
		r.step("socket "+network, "socket(2)", "")
		r.step("connect "+addr, "connect(2)", "")
	}
	t.Connected = func(network, addr string, took time.Duration, err error) {
		r.step("connected "+addr, "connect(2)", outcome("", took, err))
	}
	t.Handshaken = func(c tincan.Conn, layer string, took time.Duration, err error) {
		r.step(layer+" handshake with "+name(c.RemoteAddr()), "read(2), write(2)", outcome("", took, err))
	}
	t.Retrying = func(e *tincan.Endpoint, attempt int, wait time.Duration, err error) {
		retrying(e, attempt, wait, err)
		r.step(fmt.Sprintf("wait %v after attempt %d", round(wait), attempt), "", "")
	}
	t.Listening = func(addr net.Addr) {
		r.step("bind "+addr.String(), "socket(2), bind(2)", "")
		if !datagrams(addr.Network()) {
			r.step("listen "+addr.String(), "listen(2)", "")
		}
	}
	t.Accepted = func(listener net.Addr, c tincan.Conn) {
		call := "accept(2)"
		if datagrams(listener.Network()) {
			call = "recvmsg(2)" // a new peer shows by what it sends
		}
		r.step("accept "+name(c.RemoteAddr())+" on "+listener.String(), call, "")
	}
	t.Refused = func(listener, remote net.Addr, err error) {
		refused(listener, remote, err)
		r.step("abort "+name(remote), "close(2)", "")
	}
	t.Pausing = func(listener net.Addr, wait time.Duration, err error) {
		pausing(listener, wait, err)
		r.step("accept on "+listener.String(), "accept(2)", text(err))
	}
	t.Dropped = func(listener, remote net.Addr, size int) {
		r.step(fmt.Sprintf("drop %d bytes from %s", size, name(remote)), "", "its queue is full")
	}
	t.HalfClosed = func(c tincan.Conn, side tincan.Side) {
		if side == tincan.Local {
			r.step("half-close to "+name(c.RemoteAddr()), "shutdown(2)", "")
		} else {
			r.step("half-close from "+name(c.RemoteAddr()), "read(2) = 0", "")
		}
	}
	t.Closed = func(c tincan.Conn, received, sent int64, err error) {
		what, how := "close ", "close(2)"
		if tincan.KindOf(err) == tincan.KindReset {
			what, how = "reset ", "read(2) or write(2)"
		}
		r.step(what+name(c.RemoteAddr()), how, outcome(fmt.Sprintf("received %d, sent %d", received, sent), 0, err))
	}
}

// step writes a line of the narration: "+1.2ms connect 127.0.0.1:80 · connect(2)".
func (r *reporter) step(what, call, result string) {
	line := fmt.Sprintf("+%v %s", round(time.Since(r.start)), what)
	if call != "" {
		line += " · " + call
	}
	if result != "" {
		line += " · " + result
	}
	r.line(dim, line)
}

// datagrams reports whether a scheme has neither connections nor an end.
func datagrams(scheme string) bool {
	switch scheme {
	case "udp", "udp4", "udp6", "unixgram":
		return true
	}
	return false
}

// outcome joins what a step found, how long it took and how it failed.
func outcome(found string, took time.Duration, err error) string {
	var words []string
	if found != "" {
		words = append(words, found)
	}
	if took > 0 {
		words = append(words, "in "+round(took).String())
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

// round keeps the digits of d that tell something.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
