package cli

import (
	"net"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/narrate"
)

// listenHooks is the trace of FROM: it tells of handshakes that failed too, which no event of the connection does.
func (r *relaying) listenHooks() *tincan.Trace {
	t := r.report.hooks()
	refused, dropped, handshaken := t.Refused, t.Dropped, t.Handshaken
	t.Refused = func(listener, remote net.Addr, err error) {
		r.counts.failed(err)
		refused(listener, remote, err)
	}
	t.Dropped = func(listener, remote net.Addr, size int) {
		r.counts.dropped.Add(1)
		if dropped != nil {
			dropped(listener, remote, size)
		}
	}
	t.Handshaken = func(c tincan.Conn, layer string, took time.Duration, err error) {
		if handshaken != nil {
			handshaken(c, layer, took, err)
		}
		if err == nil {
			return
		}
		r.counts.failed(err)
		if r.only != nil {
			r.only.ended(err)
		} else if handshaken == nil {
			r.report.clientFailed(name(c.RemoteAddr()), err)
		}
	}
	return narrate.Join(t, r.counters.shown().Trace())
}

// clientFailed tells of a client that was never served.
func (r *reporter) clientFailed(client string, err error) {
	if r.json {
		r.emit(event{Event: "refused", Remote: client, Error: err.Error(), Kind: kindOf(err).String()})
		return
	}
	r.note("client %s: %v", client, err)
}

// dialHooks is the trace of TO.
func (r *relaying) dialHooks() *tincan.Trace {
	t := r.report.hooks()
	retrying := t.Retrying
	t.Retrying = func(e *tincan.Endpoint, attempt int, wait time.Duration, err error) {
		r.counts.retries.Add(1)
		retrying(e, attempt, wait, err)
	}
	return t
}

// dialTrace is the trace of TO for one client, where the dashboard shows each client's life; else nil.
func (r *relaying) dialTrace() func(client tincan.Conn) *tincan.Trace {
	if r.counters.shown() == nil {
		return nil
	}
	all := r.dialHooks()
	return func(client tincan.Conn) *tincan.Trace {
		return narrate.Join(all, r.linkOf(client).entry.record.Dialling())
	}
}

// pairHooks is the trace of what passes between the two.
func (r *relaying) pairHooks() *tincan.Trace {
	t := r.report.hooks()
	dropped := t.Dropped
	t.Dropped = func(to, from net.Addr, size int) {
		r.counts.dropped.Add(1)
		switch {
		case dropped != nil:
			dropped(to, from, size)
		default:
			r.report.note("dropped a message of %d bytes from %s, which can't be sent on by %s", size, name(from), to.Network())
		}
	}
	return narrate.Join(t, r.counters.shown().Trace())
}

const relayMetricsHelp = `tincan_relay_connections_total and _open, tincan_relay_bytes_total by direction
(forward is from FROM to TO), tincan_relay_failures_total by kind
` + failureKindsHelp + `, tincan_relay_retries_total
and tincan_relay_dropped_messages_total,`
