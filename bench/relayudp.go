package main

func relayUDPSuite() suite {
	return suite{
		name:    "relay udp",
		summary: "datagrams echoed per second through a relay, against socat and none",
		works:   func(o options) []work { return []work{relayUDP(o)} },
	}
}

func relayUDP(o options) work {
	contenders := []contender{
		{name: "no relay"},
		{name: "package relay", relay: packageRelay, target: ratio(2)},
		{name: "tincan relay", relay: tincanRelay, target: ratio(2)},
		{name: "socat", relay: socatUDPRelay},
	}
	for i := range contenders {
		contenders[i].server = func(at address) command { return cParty("udpecho", at.String()) }
		contenders[i].client = func(at address) command {
			args := append([]string{at.String()}, udpLoad...)
			return cParty("udpload", append(args, o.seconds())...)
		}
	}
	return work{
		name: "echo 64 B, 8 sockets with 16 requests each", scheme: "udp", to: "udp", place: split,
		metric: metric{unit: "k/s"}, base: "socat", contenders: contenders,
	}
}

// socatUDPRelay is a socat that starts a process for each peer, with a socket of its own. (Of its
// other forms UDP-RECVFROM starts one for each datagram, and UDP-RECV gives no answers.)
func socatUDPRelay(from, to address) command {
	return command{program: "socat", args: []string{"UDP-LISTEN:" + from.port() + ",bind=127.0.0.1,reuseaddr,fork", "UDP:" + to.at}}
}
