package main

import "strconv"

// flowSizes are the sizes of messages one way, with what tincan has to reach.
var flowSizes = []struct {
	size int
	name string
	base map[string]string  // by scheme
	goal map[string]float64 // likewise, of the ratio to that
}{
	{64, "64 B", map[string]string{"unix": "libzmq", "tcp": "libzmq"}, map[string]float64{"unix": 2, "tcp": 2}},
	{1 << 10, "1 KiB", map[string]string{"unix": "libzmq", "tcp": "libzmq"}, map[string]float64{"unix": 3, "tcp": 1.8}},
	{64 << 10, "64 KiB", map[string]string{"unix": "nng", "tcp": "libzmq"}, map[string]float64{"unix": 1.5, "tcp": 1}},
}

func messageFlowSuite() suite {
	return suite{
		name:    "messages one way",
		summary: "messages of 64 B, 1 KiB and 64 KiB to one receiver, against C, bare net, libzmq, nng, mangos, zmq4, NATS",
		works: func(o options) []work {
			var works []work
			for i := range flowSizes {
				for _, scheme := range schemes {
					for _, p := range []placement{same, split} {
						works = append(works, messageFlow(o, i, scheme, p))
					}
				}
			}
			return works
		},
	}
}

func messageFlow(o options, i int, scheme string, p placement) work {
	var contenders []contender
	for _, library := range []string{"C", "net", "libzmq", "nng", "mangos", "zmq4", "NATS", "tincan"} {
		contenders = append(contenders, flowBetween(o, flowSizes[i].size, library, library))
	}
	contenders[len(contenders)-1].target = ratio(flowSizes[i].goal[scheme])
	return work{
		name: scheme + " " + flowSizes[i].name, scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: flowSizes[i].base[scheme], contenders: reaching(contenders, scheme),
	}
}

// flowBetween has the sender for its server, so that the receiver prints what it has checked.
func flowBetween(o options, size int, from, to string) contender {
	bytes := strconv.Itoa(size)
	return contender{
		name: between(from, to), broker: brokerOf(from), patient: isPatient(from),
		server: func(at address) command { return messageSide(from, "push", at.String(), bytes) },
		client: func(at address) command { return messageSide(to, "pull", at.String(), bytes, o.seconds()) },
	}
}
