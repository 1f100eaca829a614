package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
)

// manyCallers is how many requests are under way at once.
const manyCallers = 64

func callerSuite() suite {
	return suite{
		name:    "callers",
		summary: "64 callers over one connection, against C, libzmq, and net/rpc, ttrpc, mangos, NATS, gRPC",
		works: func(o options) []work {
			var works []work
			for _, scheme := range schemes {
				for _, p := range []placement{same, split} {
					works = append(works, inlineCallers(o, scheme, p), goroutineCallers(o, scheme, p))
				}
			}
			return works
		},
		parties: map[string]party{"message-serve": serveMessages, "message-call": callMessages, "message-ask": askMessages},
	}
}

// inlineCallers are answered where their requests are read. Where a contender has no callers that
// wait, one thread keeps as many requests under way: C, libzmq, whose sockets are of one thread, and one of ours.
func inlineCallers(o options, scheme string, p placement) work {
	c := callersOf(o, "libzmq")
	c.name = "C"
	c.server = func(at address) command { return cParty("pingpong", "serve", at.String()) }
	c.client = func(at address) command {
		return cParty("callers", at.String(), strconv.Itoa(manyCallers), smallMessage, o.seconds())
	}
	ours := callersOf(o, "tincan")
	ours.name = "tincan, inline"
	ours.server = func(at address) command { return messageSide("tincan inline", "serve", at.String()) }
	ours.target = ratio(1.05)
	dealer := callersOf(o, "tincan dealer")
	dealer.name = "tincan, one goroutine"
	dealer.client = func(at address) command {
		return messageSide("tincan dealer", "ask", at.String(), strconv.Itoa(manyCallers), smallMessage, o.seconds())
	}
	dealer.target = ratio(1.05)
	return work{
		name: fmt.Sprintf("%s, %d callers with %s B, inline", scheme, manyCallers, smallMessage), scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: "libzmq", contenders: []contender{c, callersOf(o, "libzmq"), dealer, ours},
	}
}

// goroutineCallers are answered by handlers that may block.
func goroutineCallers(o options, scheme string, p placement) work {
	var contenders []contender
	for _, library := range []string{"net/rpc", "ttrpc", "mangos", "NATS", "gRPC", "tincan"} {
		contenders = append(contenders, callersOf(o, library))
	}
	contenders[len(contenders)-1].target = ratio(2)
	return work{
		name:   fmt.Sprintf("%s, %d callers with %s B, a goroutine for each request", scheme, manyCallers, smallMessage),
		scheme: scheme, place: p,
		metric: metric{unit: "k/s"}, base: "net/rpc", contenders: reaching(contenders, scheme),
	}
}

func callersOf(o options, library string) contender {
	return contender{
		name: library, broker: brokerOf(library), patient: isPatient(library),
		server: func(at address) command { return messageSide(library, "serve", at.String()) },
		client: func(at address) command {
			return messageSide(library, "call", at.String(), strconv.Itoa(manyCallers), smallMessage, o.seconds())
		},
	}
}

// serveMessages LIBRARY URL
func serveMessages(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	m, at, err := openMessenger(args)
	if err != nil {
		return err
	}
	return untilDone(ctx, func() error { return m.serve(ctx, at) })
}

// callMessages LIBRARY URL CALLERS SIZE SECONDS
func callMessages(ctx context.Context, args []string) error {
	l, err := openLoad(args, 5)
	if err != nil {
		return err
	}
	newTrip, err := l.call(ctx, l.at)
	if err != nil {
		return err
	}
	var done atomic.Uint64
	failed := make(chan error, l.callers)
	for i := range l.callers {
		call, err := newTrip()
		if err != nil {
			return err
		}
		go func() {
			message := make([]byte, l.size)
			for number := uint64(i); ; number += uint64(l.callers) { // no two have the same
				if err := askNumbered(call, message, number); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		}()
	}
	rate, err := countPerSecond(l.limit, done.Load, failed)
	if err != nil {
		return err
	}
	fmt.Println(rate / 1e3)
	return nil
}

// askMessages LIBRARY URL CALLERS SIZE SECONDS
func askMessages(ctx context.Context, args []string) error {
	l, err := openLoad(args, 5)
	if err != nil {
		return err
	}
	ask, reply, err := l.ask(ctx, l.at)
	if err != nil {
		return err
	}
	message := make([]byte, l.size)
	askNext := func(number uint64) error {
		setNumber(message, number)
		return ask(message)
	}
	for i := range l.callers {
		if err := askNext(uint64(i)); err != nil {
			return err
		}
	}
	due := uint64(0)
	rate, err := perSecond(l.limit, func() error {
		got, err := reply()
		if err == nil {
			err = mustBe(got, l.size, due)
		}
		if err != nil {
			return err
		}
		due++
		return askNext(due + uint64(l.callers) - 1)
	})
	if err != nil {
		return err
	}
	fmt.Println(rate / 1e3)
	return nil
}
