package cli

import "github.com/tincan-ipc/tincan/state"

// A countedState is a state that is served, which counts itself.
type countedState struct {
	labels []label
	server *state.Server
}

// state shows the counters of a state, which the labels tell from others.
func (c *counters) state(server *state.Server, labels ...label) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = append(c.states, &countedState{labels: labels, server: server})
}

// appendSamples appends the state's numbers.
func (s *countedState) appendSamples(to []sample) []sample {
	stats := s.server.Stats()
	of := sampler{subsystem: "state", labels: s.labels, samples: to}
	of.gauge("followers", "Clients that follow the state; a PUB socket is one.", int64(stats.Followers))
	of.counter("changes_total", "Changes of the state.", int64(stats.Changes))
	of.counter("deliveries_total", "Changes that were sent, to all clients together.", int64(stats.Delivered))
	of.counter("missed_changes_total", "Changes that a slow client was not sent, as a later one of the key had come.", int64(stats.Missed))
	of.counter("snapshots_total", "Snapshots that were sent.", int64(stats.Snapshots))
	of.counter("requests_total", "Lines that clients sent.", int64(stats.Requests))
	of.counter("refused_requests_total", "Lines of clients that were answered by an error.", int64(stats.Refused))
	return of.samples
}
