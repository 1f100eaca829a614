package main

import (
	"context"
	"slices"
)

func relayUDPSuite() suite {
	return suite{
		name:    "relay udp",
		summary: "datagrams echoed per second through a relay, and the CPU time of the relay, against C recvmmsg with and without GSO, socat",
		works:   func(o options) []work { return []work{relayUDP(o), relayJoinedUDP(o)} },
	}
}

func relayUDP(o options) work {
	return udpRelays(o, "echo 64 B, 8 sockets with 16 requests each", udpLoad, ratio(2))
}

// relayJoinedUDP has ends that hand several datagrams to the kernel as one, as those that speak QUIC do, and take them so.
func relayJoinedUDP(o options) work {
	return udpRelays(o, "echo 1200 B, 8 sockets with 8 requests each, joined by the ends", []string{"8", "8", "1200"}, nil, "gso")
}

// udpRelays compares the rate. gso is for both ends.
func udpRelays(o options, name string, load []string, promised *target, gso ...string) work {
	contenders := []contender{
		{name: "C recvmmsg", relay: func(from, to address) command { return cParty("udprelay", from.String(), to.String()) }},
		{name: "C recvmmsg, GSO", relay: func(from, to address) command { return cParty("udprelay", from.String(), to.String(), "gso") }},
		{name: "package relay", relay: packageRelay, target: promised},
		{name: "tincan relay", relay: tincanRelay, target: promised},
		{name: "socat", relay: socatUDPRelay},
	}
	processor := slices.Clone(contenders)
	for i := range contenders {
		processor[i].target = nil // what is promised is the rate
		contenders[i].server = func(at address) command { return cParty("udpecho", append([]string{at.String()}, gso...)...) }
		contenders[i].client = func(at address) command {
			return cParty("udpload", slices.Concat([]string{at.String()}, load, []string{o.seconds()}, gso)...)
		}
	}
	return work{
		name: name, scheme: "udp", to: "udp", place: split, metric: metric{unit: "k/s"}, base: "socat", contenders: contenders,
		measure: func(ctx context.Context, l *lab, r run) ([]float64, error) {
			rate, took, err := l.measureRelay(ctx, r)
			echoes := rate * 1e3 * o.time.Seconds() * (1 + 1.0/5) // with those to warm up
			return []float64{rate, took.Seconds() / echoes * 1e6}, err
		},
		beside: &work{name: name + ", CPU of the relay for each", metric: metric{unit: "us", less: true}, base: "socat", contenders: processor},
	}
}

// socatUDPRelay is a socat that starts a process for each peer, with a socket of its own. (Of its
// other forms UDP-RECVFROM starts one for each datagram, and UDP-RECV gives no answers.)
func socatUDPRelay(from, to address) command {
	return command{program: "socat", args: []string{"UDP-LISTEN:" + from.port() + ",bind=127.0.0.1,reuseaddr,fork", "UDP:" + to.at}}
}
