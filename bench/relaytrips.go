package main

// relayTripSuite is small traffic: what a relay adds to a round trip.
func relayTripSuite() suite {
	return suite{
		name:    "relay trips",
		summary: "round trip of 64 B through a relay, against C splice or recvmmsg, io.Copy, socat, ncat, haproxy and none",
		works: func(o options) []work {
			var works []work
			for _, scheme := range []string{"tcp", "unix", "udp"} {
				for _, p := range []placement{same, split} {
					works = append(works, relayTrips(o, scheme, p))
				}
			}
			return works
		},
	}
}

func relayTrips(o options, scheme string, p placement) work {
	relays := streamRelays()
	if scheme == "udp" {
		relays = udpRelayContenders()
	}
	contenders := append([]contender{{name: "no relay"}}, relays...)
	for i := range contenders {
		contenders[i].server = func(at address) command { return cParty("pingpong", "serve", at.String()) }
		contenders[i].client = func(at address) command { return cParty("pingpong", "ping", at.String(), "64", o.seconds()) }
		if isOurRelay(contenders[i].name) {
			contenders[i].target = ratio(1)
		}
	}
	return work{
		name: scheme + " to " + scheme + ", round trip 64 B", scheme: scheme, to: scheme, place: p,
		metric: metric{unit: "us", less: true}, base: "socat", contenders: contenders,
	}
}
