package main

import (
	"context"
	"slices"
)

func relayUDPSuite() suite {
	return suite{
		name:    "relay udp",
		summary: "datagrams echoed per second through a relay, and the CPU time of the relay, against C recvmmsg with and without GSO, socat",
		works:   func(o options) []work { return []work{relayUDP(o)} },
	}
}

func relayUDP(o options) work {
	contenders := []contender{
		{name: "C recvmmsg", relay: func(from, to address) command { return cParty("udprelay", from.String(), to.String()) }},
		{name: "C recvmmsg, GSO", relay: func(from, to address) command { return cParty("udprelay", from.String(), to.String(), "gso") }},
		{name: "package relay", relay: packageRelay, target: ratio(2)},
		{name: "tincan relay", relay: tincanRelay, target: ratio(2)},
		{name: "socat", relay: socatUDPRelay},
	}
	processor := slices.Clone(contenders)
	for i := range contenders {
		processor[i].target = nil // what is promised is the rate
		contenders[i].server = func(at address) command { return cParty("udpecho", at.String()) }
		contenders[i].client = func(at address) command {
			args := append([]string{at.String()}, udpLoad...)
			return cParty("udpload", append(args, o.seconds())...)
		}
	}
	const name = "echo 64 B, 8 sockets with 16 requests each"
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
