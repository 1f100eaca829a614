package main

// The load of UDP requests: few enough under way for the kernel's queues to hold them all.
var udpLoad = []string{"8", "16", "64"} // sockets, datagrams under way on each, bytes

func udpSuite() suite {
	return suite{
		name:    "udp",
		summary: "datagrams echoed per second, against C recvmmsg and bare net",
		works: func(o options) []work {
			return []work{udpEcho(o)}
		},
		parties: map[string]party{"service-echo-udp": serviceEchoUDP},
	}
}

func udpEcho(o options) work {
	client := func(at address) command {
		args := append([]string{at.String()}, udpLoad...)
		return cParty("udpload", append(args, o.seconds())...)
	}
	return work{
		name: "echo 64 B, 8 sockets with 16 requests each", scheme: "udp", place: split,
		metric: metric{unit: "k/s"}, base: "C recvmmsg",
		contenders: []contender{
			{name: "C recvmmsg", client: client, server: func(at address) command { return cParty("udpecho", at.String()) }},
			{name: "net", client: client, server: func(at address) command { return goParty("packet-echo", "net", at.String()) }},
			{name: "tincan ServeDatagrams", client: client, target: ratio(0.7), server: func(at address) command {
				return goParty("packet-echo", "inline", at.String())
			}},
			{name: "tincan service", client: client, target: ratio(0.7), server: func(at address) command {
				return goParty("service-echo-udp", at.String())
			}},
			{name: "tincan serve echo", client: client, target: ratio(0.7), server: func(at address) command {
				return tincanCommand("serve", "echo", at.String())
			}},
		},
	}
}
