package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// stateKeys are changed in turn: more than a follower may be behind, so that none misses a change.
	stateKeys = 1024
	// stateWindow is how many changes the last follower may be behind.
	stateWindow = 800
	// steadyDeliveries is the load under which delays are measured, in deliveries a second.
	steadyDeliveries = 50_000
)

func stateSuite() suite {
	return suite{
		name:    "state",
		summary: "changes of a state to 100 and 1,000 clients over JSON lines, and to 100 ZMTP subscribers, against NATS",
		works: func(o options) []work {
			var works []work
			for _, followers := range []struct {
				form  string
				count int
				name  string
			}{
				{"lines", 100, "JSON-line clients"},
				{"lines", 1000, "JSON-line clients"},
				{"zmtp", 100, "ZMTP subscribers"},
			} {
				name := fmt.Sprintf("tcp, changes to %d %s", followers.count, followers.name)
				contenders := func(changes int) []contender {
					return []contender{
						stateOf(o, "NATS", "NATS", followers.count, changes),
						stateOf(o, "tincan", followers.form, followers.count, changes),
					}
				}
				works = append(works, ratesAndDelays(name, split, contenders, steadyDeliveries/followers.count)...)
			}
			return works
		},
		parties: map[string]party{"state-publish": publishState, "state-follow": followState},
	}
}

// ratesAndDelays are two works over tcp: how much contenders get through, and where they are given rate a second after how long it is there.
// A rate of zero is as much as goes. NATS is what they are compared with.
func ratesAndDelays(name string, p placement, contenders func(rate int) []contender, rate int) []work {
	steady := contenders(rate)
	return []work{{
		name: name, scheme: "tcp", place: p,
		metric: metric{unit: "k/s"}, base: "NATS", contenders: contenders(0),
	}, {
		name: fmt.Sprintf("%s, %d a second, median delay", name, rate), scheme: "tcp", place: p,
		metric: metric{unit: "us", less: true}, base: "NATS", contenders: steady,
		beside: &work{
			name:   fmt.Sprintf("%s, %d a second, delay of the slowest in 100", name, rate),
			metric: metric{unit: "us", less: true}, base: "NATS", contenders: steady,
		},
	}}
}

// stateOf has the publisher for its server; its client is all the followers. They print the deliveries a second, in
// thousands, or where so many changes are made a second their delays in microseconds.
func stateOf(o options, name, library string, followers, changes int) contender {
	return contender{
		name: name, broker: brokerOf(library), patient: isPatient(library),
		server: func(at address) command {
			return goParty("state-publish", library, at.String(), strconv.Itoa(changes))
		},
		client: func(at address) command {
			return goParty("state-follow", library, at.String(), strconv.Itoa(followers), strconv.Itoa(changes), o.seconds())
		},
	}
}

// publishState LIBRARY URL CHANGES changes the state as fast as the last follower is told of it, or so often a second.
func publishState(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	feed, at, err := openFeed(args)
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	p, err := listenPace(ctx, at, stateWindow)
	if err != nil {
		return err
	}
	set, err := feed.publish(ctx, at)
	if err != nil {
		return err
	}
	return untilDone(ctx, func() error {
		awaitTurn := p.turns(rate)
		for n := uint64(0); ; n++ {
			awaitTurn(n)
			if err := set("key."+strconv.FormatUint(n%stateKeys, 10), stateValue{n, time.Now().UnixNano()}); err != nil {
				return err
			}
		}
	})
}

// A stateValue is what a key is set to: which change of all it is, and when it was made.
type stateValue struct {
	number uint64
	made   int64 // nanoseconds since the Unix epoch, which both sides read on one host
}

// append appends [NUMBER,MADE].
func (v stateValue) append(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, '['), v.number, 10)
	return append(strconv.AppendInt(append(dst, ','), v.made, 10), ']')
}

// valueOf reads the value out of a change object, in which nothing follows it but the end.
func valueOf(object []byte) (stateValue, error) {
	_, text, ok := bytes.Cut(object, []byte(`"value":`))
	text, ended := bytes.CutSuffix(text, []byte("}"))
	if !ok || !ended {
		return stateValue{}, fmt.Errorf("no change: %q", object)
	}
	return parseValue(text)
}

// parseValue is the inverse of append.
func parseValue(text []byte) (v stateValue, err error) {
	number, made, both := bytes.Cut(bytes.TrimPrefix(text, []byte("[")), []byte(","))
	made, ended := bytes.CutSuffix(made, []byte("]"))
	if !both || !ended {
		return v, fmt.Errorf("no value: %q", text)
	}
	v.number, err = strconv.ParseUint(string(number), 10, 64)
	if err == nil {
		v.made, err = strconv.ParseInt(string(made), 10, 64)
	}
	return v, err
}

// followState LIBRARY URL FOLLOWERS CHANGES SECONDS
func followState(ctx context.Context, args []string) error {
	if len(args) != 5 {
		return errUsage
	}
	feed, at, err := openFeed(args)
	if err != nil {
		return err
	}
	followers, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	rate, limit, err := parseLoad(args[3:])
	if err != nil {
		return err
	}
	r, err := dialPace(ctx, at, followers)
	if err != nil {
		return err
	}
	var d delays
	failed := make(chan error, followers)
	for i := range followers {
		next, err := feed.follow(ctx, at)
		if err != nil {
			return err
		}
		go func() {
			failed <- takeChanges(next, func(n uint64, made int64) {
				if n%countEvery == 0 || n == 1 {
					r.had(i, n)
				}
				if rate > 0 {
					d.note(made)
				}
			})
		}()
	}
	if err := r.awaitAll(failed); err != nil {
		return err
	}
	if rate == 0 {
		deliveries, err := countPerSecond(limit, r.total, failed)
		if err == nil {
			fmt.Println(deliveries / 1e3)
		}
		return err
	}
	median, slow, err := d.measure(limit, failed)
	if err == nil {
		fmt.Println(median, slow)
	}
	return err
}

// delays are the times from a change to each delivery of it.
type delays struct {
	mu    sync.Mutex // guards what follows
	timed bool
	all   []int64 // nanoseconds
}

func (d *delays) note(made int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed {
		d.all = append(d.all, time.Now().UnixNano()-made)
	}
}

// measure gives the median and what 99 in 100 don't exceed, in microseconds, over limit and after a fifth of it to warm up.
func (d *delays) measure(limit time.Duration, failed <-chan error) (median, slow float64, err error) {
	for _, step := range []struct {
		timed  bool
		length time.Duration
	}{{false, limit / 5}, {true, limit}, {false, 0}} {
		d.mu.Lock()
		d.timed = step.timed
		d.mu.Unlock()
		select {
		case err := <-failed:
			return 0, 0, err
		case <-time.After(step.length):
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return 0, 0, errors.New("nothing was delivered")
	}
	slices.Sort(d.all)
	at := func(share int) float64 { return float64(d.all[(len(d.all)-1)*share/100]) / 1e3 }
	return at(50), at(99), nil
}

// takeChanges checks that a follower gets every change, and hands on each.
func takeChanges(next func() (stateValue, error), had func(n uint64, made int64)) error {
	had(0, 0)
	for due := uint64(0); ; due++ {
		v, err := next()
		if err != nil {
			return err
		}
		if v.number != due {
			return fmt.Errorf("change %d: got number %d", due, v.number)
		}
		had(due+1, v.made)
	}
}
