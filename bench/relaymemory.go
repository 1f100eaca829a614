package main

import (
	"context"
	"fmt"
	"strconv"
)

// relayClients is how many a relay holds when its memory is measured.
const relayClients = 1000

func relayMemorySuite() suite {
	return suite{
		name:    "relay memory",
		summary: "memory of a relay and its children that hold 1,000 clients, against C splice, io.Copy, socat, ncat, haproxy",
		works: func(options) []work {
			return []work{relayMemory("tcp"), relayMemory("unix")}
		},
	}
}

func relayMemory(scheme string) work {
	var contenders []contender
	for _, c := range streamRelays() {
		n := relayClients
		switch c.name {
		case "socat -b262144":
			continue // differs by nothing but its buffer
		case "ncat":
			n = fewIdle
			c.name = fmt.Sprintf("ncat (%d)", n)
		}
		c.server = func(at address) command { return cParty("epollecho", at.String()) }
		c.client = func(at address) command { return cParty("connections", "idle", at.String(), strconv.Itoa(n)) }
		if isOurRelay(c.name) {
			c.target = ratio(0.25)
		}
		contenders = append(contenders, c)
	}
	name := fmt.Sprintf("%s to %s, %d clients that were each echoed a byte", scheme, scheme, relayClients)
	return work{
		name: name, scheme: scheme, to: scheme, place: split,
		metric: metric{unit: "MiB", less: true}, base: "socat", contenders: contenders, measure: measureRelayMemory,
		beside: &work{
			name: name + ", each of them", metric: metric{unit: "KiB", less: true}, base: "socat", contenders: contenders,
		},
	}
}

// measureRelayMemory gives the memory of the relay and its children in MiB, for relayClients and
// with what it takes without them; then without that, what each client costs in KiB.
func measureRelayMemory(ctx context.Context, l *lab, r run) ([]float64, error) {
	relay, stop, err := l.startServing(ctx, r)
	if err != nil {
		return nil, err
	}
	defer stop()
	before, err := settledMemory(ctx, relay.cmd.Process.Pid, quietTime/4)
	if err != nil {
		return nil, err
	}
	conns, memory, err := l.memoryWith(ctx, r, relay)
	if err != nil {
		return nil, err
	}
	each := float64(memory-before) / float64(conns)
	return []float64{(float64(before) + each*relayClients) / (1 << 20), each / (1 << 10)}, nil
}
