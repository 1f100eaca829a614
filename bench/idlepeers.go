package main

import (
	"fmt"
	"strconv"
)

// manyPeers is how many idle on one socket.
const manyPeers = 10000

func idlePeerSuite() suite {
	return suite{
		name:    "idle peers",
		summary: "memory of a socket for each of 10,000 ZMTP peers that have had an answer, against libzmq, zmq4",
		works: func(options) []work {
			return []work{idlePeers("unix", manyPeers), idlePeers("tcp", manyPeers)}
		},
	}
}

func idlePeers(scheme string, peers int) work {
	var contenders []contender
	for _, library := range []string{"libzmq", "zmq4", "tincan"} {
		contenders = append(contenders, contender{
			name:   library,
			server: func(at address) command { return messageSide(library, "serve", at.String()) },
			client: func(at address) command { return cParty("zmtppeers", at.String(), strconv.Itoa(peers)) },
		})
	}
	contenders[len(contenders)-1].target = absolute(8)
	return work{
		name: fmt.Sprintf("%s, each of %d peers that had an answer", scheme, peers), scheme: scheme, place: split,
		metric: metric{unit: "KiB", less: true}, base: "libzmq", contenders: contenders, measure: measureMemory,
	}
}
