package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	topicSize  = 16    // of every topic; c/pace.h has the same
	manyTopics = 10000 // of each subscriber
	// fanOutWindow is how many messages the last subscriber may be behind: less than the usual high-water mark
	// of 1,000, for messages that found out whether it is there may still be under way as well.
	fanOutWindow = 800
	// probe is the number of messages that only find out whether all subscribers are there; c/pace.h has the same.
	probe = 1<<64 - 1
)

func fanOutSuite() suite {
	return suite{
		name:    "fan-out",
		summary: "messages of 64 B with topics to 10 and 100 subscribers, against libzmq that drops nothing, mangos, zmq4, NATS",
		works: func(o options) []work {
			var works []work
			for _, scheme := range schemes {
				for _, p := range []placement{same, split} {
					works = append(works, fanOut(o, 10, scheme, p), fanOut(o, 100, scheme, p), fanOutTopics(o, scheme, p))
				}
			}
			return works
		},
		parties: map[string]party{"message-publish": publishMessages, "message-subscribe": subscribeMessages},
	}
}

func fanOut(o options, subscribers int, scheme string, p placement) work {
	var contenders []contender
	for _, library := range []string{"libzmq", "mangos", "zmq4", "NATS", "tincan"} {
		contenders = append(contenders, fanOutOf(o, library, subscribers, 1))
	}
	contenders[len(contenders)-1].target = ratio(2)
	return work{
		name: fmt.Sprintf("%s %s B, %d subscribers", scheme, smallMessage, subscribers), scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: "libzmq", contenders: reaching(contenders, scheme),
	}
}

// fanOutTopics is what many topics cost. mangos and zmq4 go through all for each message, and are left out.
func fanOutTopics(o options, scheme string, p placement) work {
	const subscribers = 10
	one := fanOutOf(o, "tincan", subscribers, 1)
	one.name = "tincan, 1 topic"
	contenders := []contender{one}
	for _, library := range []string{"libzmq", "NATS", "tincan"} {
		contenders = append(contenders, fanOutOf(o, library, subscribers, manyTopics))
	}
	contenders[len(contenders)-1].target = ratio(0.9)
	return work{
		name:   fmt.Sprintf("%s %s B, %d subscribers with %d topics each", scheme, smallMessage, subscribers, manyTopics),
		scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: one.name, contenders: reaching(contenders, scheme),
	}
}

// fanOutOf has the publisher for its server; its client is all the subscribers, which print the deliveries.
func fanOutOf(o options, library string, subscribers, topics int) contender {
	return contender{
		name: library, broker: brokerOf(library), patient: isPatient(library),
		server: func(at address) command {
			return messageSide(library, "publish", at.String(), smallMessage, strconv.Itoa(topics))
		},
		client: func(at address) command {
			return messageSide(library, "subscribe", at.String(), smallMessage, strconv.Itoa(subscribers), strconv.Itoa(topics), o.seconds())
		},
	}
}

// topicNames gives so many topics, none of which begins another.
func topicNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("topic.%010d", i)
	}
	return names
}

// publishMessages LIBRARY URL SIZE TOPICS publishes to the topics in turn, as fast as the last subscriber takes it:
// those that would lose messages wait for that.
// Whether all are there shows by messages of the last topic, which is the last that each subscribes to.
func publishMessages(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	m, at, err := openMessenger(args)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	p, err := listenPace(ctx, at, fanOutWindow)
	if err != nil {
		return err
	}
	publish, err := m.publish(ctx, at)
	if err != nil {
		return err
	}
	topics, message := topicNames(count), make([]byte, size)
	say := func(topic string, number uint64) error {
		setNumber(message[copy(message, topic):], number)
		return publish(message)
	}
	return untilDone(ctx, func() error {
		for tick := time.NewTicker(10 * time.Millisecond); !p.ready(); <-tick.C {
			if err := say(topics[count-1], probe); err != nil {
				return err
			}
		}
		for n := uint64(0); ; n++ {
			if !m.keptPublish {
				p.wait(n)
			}
			if err := say(topics[n%uint64(count)], n); err != nil {
				return err
			}
		}
	})
}

// subscribeMessages LIBRARY URL SIZE SUBSCRIBERS TOPICS SECONDS
func subscribeMessages(ctx context.Context, args []string) error {
	if len(args) != 6 {
		return errUsage
	}
	m, at, err := openMessenger(args)
	if err != nil {
		return err
	}
	var n [3]int
	for i := range n {
		if n[i], err = strconv.Atoi(args[2+i]); err != nil {
			return err
		}
	}
	size, subscribers, topics := n[0], n[1], topicNames(n[2])
	_, limit, err := parseLoad([]string{"0", args[5]})
	if err != nil {
		return err
	}
	r, err := dialPace(ctx, at, subscribers)
	if err != nil {
		return err
	}
	failed := make(chan error, subscribers)
	for i := range subscribers {
		next, err := m.subscribe(ctx, at, slices.Clone(topics))
		if err != nil {
			return err
		}
		go func() { failed <- takeAll(next, size-topicSize, func(n uint64) { r.had(i, n) }) }()
	}
	if err := r.awaitAll(failed); err != nil {
		return err
	}
	rate, err := countPerSecond(limit, r.total, failed)
	if err != nil {
		return err
	}
	fmt.Println(rate / 1e3)
	return nil
}

// takeAll checks that a subscriber gets every message, and tells how many it had: from time to time, and 0 when it is there.
func takeAll(next receive, size int, had func(uint64)) error {
	for due := uint64(0); ; {
		message, err := next()
		if err != nil {
			return err
		}
		if len(message) == size && numberOf(message) == probe {
			had(0)
			continue
		}
		if err := mustBe(message, size, due); err != nil {
			return err
		}
		if due++; due%countEvery == 0 {
			had(due)
		}
	}
}
