package main

import "slices"

// schemes are those that message libraries share.
var schemes = []string{"unix", "tcp"}

func messageTripSuite() suite {
	return suite{
		name:    "messages round trip",
		summary: "request and reply of 64 B, against C, bare net, libzmq, nng, mangos, zmq4, NATS, gRPC, ttrpc, net/rpc",
		works: func(o options) []work {
			var works []work
			for _, scheme := range schemes {
				for _, p := range []placement{same, split} {
					works = append(works, messageTrips(o, scheme, p))
				}
			}
			return works
		},
		parties: messageParties(),
	}
}

func messageTrips(o options, scheme string, p placement) work {
	contenders := streamTrips(o, scheme, p).contenders[:2] // C and net
	for _, library := range []string{"libzmq", "nng", "mangos", "zmq4", "NATS", "gRPC", "ttrpc", "net/rpc", "tincan"} {
		contenders = append(contenders, tripsBetween(o, library, library))
	}
	limit := 1.15
	switch {
	case p == same && scheme == "unix":
		limit = 2.3
	case p == same:
		limit = 2
	}
	contenders[len(contenders)-1].target = ratio(limit)
	return work{
		name: scheme + " " + smallMessage + " B", scheme: scheme, place: p,
		metric: metric{unit: "us", less: true}, base: "C", contenders: reaching(contenders, scheme),
	}
}

func tripsBetween(o options, client, server string) contender {
	return contender{
		name: between(client, server), broker: brokerOf(server), patient: isPatient(server),
		server: func(at address) command { return messageSide(server, "answer", at.String()) },
		client: func(at address) command {
			return messageSide(client, "request", at.String(), smallMessage, o.seconds())
		},
	}
}

// reaching leaves out those that don't speak over scheme.
func reaching(contenders []contender, scheme string) []contender {
	return slices.DeleteFunc(contenders, func(c contender) bool { return !reaches(c.name, scheme) })
}
