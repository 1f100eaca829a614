package main

func messagePeerSuite() suite {
	return suite{
		name:    "messages with libzmq",
		summary: "round trips and messages one way between tincan and libzmq, against libzmq with libzmq",
		works: func(o options) []work {
			var works []work
			for _, scheme := range schemes {
				for _, p := range []placement{same, split} {
					works = append(works, peerTrips(o, scheme, p))
					for i := range flowSizes {
						works = append(works, peerFlow(o, i, scheme, p))
					}
				}
			}
			return works
		},
	}
}

func peerTrips(o options, scheme string, p placement) work {
	return work{
		name: scheme + " round trip " + smallMessage + " B", scheme: scheme, place: p,
		metric: metric{unit: "us", less: true}, base: "libzmq",
		contenders: withLibzmq(func(client, server string) contender { return tripsBetween(o, client, server) }),
	}
}

func peerFlow(o options, i int, scheme string, p placement) work {
	return work{
		name: scheme + " one way " + flowSizes[i].name, scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: "libzmq",
		contenders: withLibzmq(func(from, to string) contender { return flowBetween(o, flowSizes[i].size, from, to) }),
	}
}

// withLibzmq are libzmq with itself, and tincan at either end: no slower.
func withLibzmq(between func(client, server string) contender) []contender {
	asClient, asServer := between("tincan", "libzmq"), between("libzmq", "tincan")
	asClient.target, asServer.target = ratio(1), ratio(1)
	return []contender{between("libzmq", "libzmq"), asClient, asServer}
}
