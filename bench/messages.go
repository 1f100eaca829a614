package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// smallMessage is the size of messages where nothing else is said.
const smallMessage = "64"

// A messenger passes messages between processes in Go by one library. What that doesn't do is nil.
// What a messenger opens ends with the process. Functions that it gives are for one goroutine at a time.
type messenger struct {
	// answer replies to requests with what they hold, until ctx ends; request makes them.
	answer  func(ctx context.Context, at address) error
	request func(ctx context.Context, at address) (trip, error)
	// serve is answer for many requests at once, each in a goroutine of its own unless the messenger says otherwise.
	// call gives what makes callers, each for a goroutine of its own, over one connection.
	serve func(ctx context.Context, at address) error
	call  func(ctx context.Context, at address) (func() (trip, error), error)
	// ask sends requests to whom serve answers, without waiting for the replies, which come in their order.
	ask func(ctx context.Context, at address) (send, receive, error)
	// push sends messages one way to whom pull has connected.
	push func(ctx context.Context, at address) (send, error)
	pull func(ctx context.Context, at address) (receive, error)
	// publish sends messages that begin with their topic to all who subscribe to that;
	// subscribe gives what follows the topic.
	publish   func(ctx context.Context, at address) (send, error)
	subscribe func(ctx context.Context, at address, topics []string) (receive, error)
	// lossyPush drops what a slow receiver can't take; keptPublish waits for slow subscribers.
	lossyPush, keptPublish bool
}

type (
	// A trip sends a request and waits for its reply, which is valid until the next.
	trip func(request []byte) (reply []byte, err error)
	// A send has done with the message when it returns.
	send func(message []byte) error
	// A receive gives a message, which is valid until the next.
	receive func() (message []byte, err error)
)

// messengers are those in Go, by the names that parties know them by.
var messengers = map[string]messenger{
	"net":       netMessenger,
	"net/rpc":   netRPCMessenger,
	"mangos":    mangosMessenger,
	"zmq4":      zmq4Messenger,
	"NATS":      natsMessenger,
	bridged:     natsbridgeMessenger,
	bridgedTold: natsbridgeToldMessenger,
	"gRPC":      grpcMessenger,
	"ttrpc":     ttrpcMessenger,

	"tincan": patternMessenger, "tincan inline": patternInline, "tincan dealer": patternDealer,
}

// messageParties are both sides of all works over messages.
func messageParties() map[string]party {
	return map[string]party{
		"message-answer": answerMessages, "message-request": requestMessages,
		"message-push": pushMessages, "message-pull": pullMessages,
		"nats-broker": natsBroker,
	}
}

// cPrograms are the programs of libraries in C, and of none.
var cPrograms = map[string]string{"libzmq": "zeromq", "nng": "nng", "C": "flow"}

// messageSide is what one side of a library runs: a program in C or a party of this binary, whose verbs are the same.
func messageSide(library, verb string, args ...string) command {
	if program, ok := cPrograms[library]; ok {
		return cParty(program, append([]string{verb}, args...)...)
	}
	return goParty("message-"+verb, append([]string{library}, args...)...)
}

// brokerOf is what stands between the two sides of a library, nil for none.
func brokerOf(library string) func(address) command {
	if !onNATS(library) {
		return nil
	}
	return func(at address) command { return goParty("nats-broker", at.String()) }
}

// isPatient tells the libraries whose clients wait for the server: that of NATS isn't at the address, and that of
// nng 1.5 may answer nobody any more after a connection that was closed without a word.
func isPatient(library string) bool { return onNATS(library) || library == "nng" }

// reaches tells whether a library speaks over a scheme.
func reaches(library, scheme string) bool { return !onNATS(library) || scheme == "tcp" }

// zmq gives a as ZeroMQ and mangos have it: ipc:// for unix:
func (a address) zmq() string {
	if a.isUnix() {
		return "ipc://" + a.at
	}
	return a.String()
}

// openMessenger reads LIBRARY URL.
func openMessenger(args []string) (messenger, address, error) {
	m, ok := messengers[args[0]]
	if !ok {
		return messenger{}, address{}, fmt.Errorf("no such library: %s", args[0])
	}
	at, err := parseAddress(args[1])
	return m, at, err
}

// A messageLoad is what a party that measures is told.
type messageLoad struct {
	messenger
	at            address
	callers, size int
	limit         time.Duration
}

// openLoad parses LIBRARY URL SIZE SECONDS, and with five arguments LIBRARY URL CALLERS SIZE SECONDS.
func openLoad(args []string, want int) (l messageLoad, err error) {
	if len(args) != want {
		return l, errUsage
	}
	if l.messenger, l.at, err = openMessenger(args); err != nil {
		return l, err
	}
	if want == 5 {
		if l.callers, err = strconv.Atoi(args[2]); err != nil {
			return l, err
		}
	}
	l.size, l.limit, err = parseLoad(args[want-2:])
	return l, err
}

// answerMessages LIBRARY URL
func answerMessages(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	m, at, err := openMessenger(args)
	if err != nil {
		return err
	}
	return untilDone(ctx, func() error { return m.answer(ctx, at) })
}

// requestMessages LIBRARY URL SIZE SECONDS
func requestMessages(ctx context.Context, args []string) error {
	l, err := openLoad(args, 4)
	if err != nil {
		return err
	}
	request, err := l.request(ctx, l.at)
	if err != nil {
		return err
	}
	message, number := make([]byte, l.size), uint64(0)
	return timeTrips(l.limit, func() error {
		number++
		return askNumbered(request, message, number)
	})
}

// askNumbered makes a trip with a number in the message, which has to come back.
func askNumbered(request trip, message []byte, number uint64) error {
	setNumber(message, number)
	reply, err := request(message)
	if err == nil && !bytes.Equal(reply, message) {
		err = fmt.Errorf("request %d: the reply of %d bytes is another's", number, len(reply))
	}
	return err
}

// pushMessages LIBRARY URL SIZE
func pushMessages(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	m, at, err := openMessenger(args)
	if err != nil {
		return err
	}
	size, _, err := parseLoad([]string{args[2], "0"})
	if err != nil {
		return err
	}
	var p *pacer
	if m.lossyPush {
		if p, err = listenPace(ctx, at, min(16<<10, 16<<20/size)); err != nil {
			return err
		}
	}
	push, err := m.push(ctx, at)
	if err != nil {
		return err
	}
	return untilDone(ctx, func() error {
		message := make([]byte, size)
		for n := uint64(0); ; n++ {
			if p != nil {
				p.wait(n)
			}
			setNumber(message, n)
			if err := push(message); err != nil {
				return err
			}
		}
	})
}

// pullMessages LIBRARY URL SIZE SECONDS
func pullMessages(ctx context.Context, args []string) error {
	l, err := openLoad(args, 4)
	if err != nil {
		return err
	}
	pull, err := l.pull(ctx, l.at)
	if err != nil {
		return err
	}
	had := func(int, uint64) {}
	if l.lossyPush {
		r, err := dialPace(ctx, l.at, 1)
		if err != nil {
			return err
		}
		had = r.had
	}
	had(0, 0)
	due := uint64(0)
	rate, err := perSecond(l.limit, func() error {
		message, err := pull()
		if err == nil {
			err = mustBe(message, l.size, due)
		}
		if due++; due%countEvery == 0 {
			had(0, due)
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Println(rate / 1e3)
	return nil
}

// Each message begins with its number, in the machine's order; a topic precedes that.

func setNumber(message []byte, n uint64) { binary.NativeEndian.PutUint64(message, n) }

func numberOf(message []byte) uint64 { return binary.NativeEndian.Uint64(message) }

// mustBe fails where a message isn't the one that is due, and whole.
func mustBe(message []byte, size int, due uint64) error {
	if len(message) == size && numberOf(message) == due {
		return nil
	}
	if len(message) != size {
		return fmt.Errorf("message %d: got %d bytes, want %d", due, len(message), size)
	}
	return fmt.Errorf("message %d: got number %d", due, numberOf(message))
}

// shared is the call of a library whose trips may be made at once.
func shared(dial func(context.Context, address) (trip, error)) func(context.Context, address) (func() (trip, error), error) {
	return func(ctx context.Context, at address) (func() (trip, error), error) {
		t, err := dial(ctx, at)
		return func() (trip, error) { return t, nil }, err
	}
}

// untilDone waits for f or the end of ctx, after which the process ends and f with it.
func untilDone(ctx context.Context, f func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- f() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// countPerSecond gives how much count grows in a second, over limit and after a fifth of it to warm up.
func countPerSecond(limit time.Duration, count func() uint64, failed <-chan error) (float64, error) {
	grow := func(limit time.Duration) (float64, error) {
		before, start := count(), time.Now()
		select {
		case err := <-failed:
			return 0, err
		case <-time.After(limit):
			return float64(count()-before) / time.Since(start).Seconds(), nil
		}
	}
	if _, err := grow(limit / 5); err != nil {
		return 0, err
	}
	return grow(limit)
}

// between names a contender whose two sides are of different libraries.
func between(client, server string) string {
	if client == server {
		return client
	}
	return strings.Join([]string{client, server}, " with ")
}
