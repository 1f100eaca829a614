package main

import "strconv"

// steadyRate is the load under which delays through a server that stores are measured: jobs or changes a second.
const steadyRate = 1000

// natsSuite compares package natsbridge with nats.go on the same server.
func natsSuite() suite {
	return suite{
		name:    "natsbridge",
		summary: "requests, what is published, a work queue and a state, through package natsbridge and through nats.go alone, on one server",
		works: func(o options) []work {
			var works []work
			for _, p := range []placement{same, split} {
				works = append(works, natsMessages(o, p)...)
				works = append(works, natsQueue(o, p)...)
				works = append(works, natsState(o, p)...)
			}
			return works
		},
		parties: map[string]party{"queue-put": putJobs, "queue-work": workOnJobs},
	}
}

// natsMessages are the works of core NATS, for which it keeps nothing.
func natsMessages(o options, p placement) []work {
	var works []work
	trips := work{metric: metric{unit: "us", less: true}, contenders: []contender{tripsBetween(o, "NATS", "NATS"), tripsBetween(o, bridged, bridged), tripsBetween(o, bridgedTold, bridgedTold)}}
	callers := work{metric: metric{unit: "k/s"}, contenders: []contender{callersOf(o, "NATS"), callersOf(o, bridged), callersOf(o, bridgedTold)}}
	flow := work{metric: metric{unit: "k/s"}, contenders: []contender{flowBetween(o, 64, "NATS", "NATS"), flowBetween(o, 64, bridged, bridged)}}
	fan := work{metric: metric{unit: "k/s"}, contenders: []contender{fanOutOf(o, "NATS", 10, 1), fanOutOf(o, bridged, 10, 1)}}
	for _, w := range []struct {
		work
		name   string
		target float64
	}{
		{trips, "request and reply of " + smallMessage + " B", 1 / 0.9},
		{callers, strconv.Itoa(manyCallers) + " callers with " + smallMessage + " B", 0.9},
		{flow, "published to one, " + smallMessage + " B", 0.9},
		{fan, "published to 10 subscribers, " + smallMessage + " B", 0.9},
	} {
		w.work.name, w.scheme, w.place, w.base = "tcp "+w.name, "tcp", p, "NATS"
		w.contenders[1].target = ratio(w.target)
		works = append(works, w.work)
	}
	return works
}

// natsQueue is a work queue with one worker: how many jobs it does, and after how long it has one.
func natsQueue(o options, p placement) []work {
	return ratesAndDelays("tcp work queue, "+smallMessage+" B", p, func(rate int) []contender {
		return []contender{queueOf(o, "NATS", rate), queueOf(o, natsConsume, rate), queueOf(o, natsBare, rate), queueOf(o, bridged, rate)}
	}, steadyRate)
}

// natsState is a state in a bucket with one follower: how many of its changes arrive, and when.
func natsState(o options, p placement) []work {
	return ratesAndDelays("tcp state in a bucket", p, func(rate int) []contender {
		return []contender{
			stored(stateOf(o, "NATS", natsBucket, 1, rate)),
			stored(stateOf(o, bridged, bridgedBucket, 1, rate)),
		}
	}, steadyRate)
}

// stored has c go through a server that stores what passes.
func stored(c contender) contender {
	c.patient, c.broker = true, func(at address) command { return goParty("nats-broker", at.String(), "store") }
	return c
}
