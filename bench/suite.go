package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A suite is a set of works that belong together. To add one write a file with
// a function that gives it, and name that in suites.
type suite struct {
	name    string
	summary string
	works   func(o options) []work
	// parties are what this binary does when a contender starts it again, by name.
	parties map[string]party
}

func suites() []suite {
	return []suite{
		streamSuite(), packetSuite(), connectionSuite(), idleSuite(), udpSuite(),
		relaySuite(), relayTripSuite(), relayUDPSuite(), relayMemorySuite(),
		messageTripSuite(), messageFlowSuite(), messagePeerSuite(), fanOutSuite(), callerSuite(), idlePeerSuite(), stateSuite(), natsSuite(),
	}
}

// A work is one thing measured over several contenders.
type work struct {
	name       string
	scheme     string // of the address that a repetition gets
	to         string // of the one behind a relay
	metric     metric
	place      placement
	base       string // the contender that ratios are taken to; empty for none
	contenders []contender
	// measure does one repetition; nil runs the client, which prints the number.
	measure func(ctx context.Context, l *lab, r run) ([]float64, error)
	// beside is what the second number of each repetition says, nil where there is but one: a work of
	// which name, metric, base and the targets of the same contenders count.
	beside *work
}

// of is w with the contenders alone that have a matching name, or are the base.
func (w work) of(name *regexp.Regexp) work {
	chosen := func(base string, all []contender) []contender {
		return slices.DeleteFunc(slices.Clone(all), func(c contender) bool { return c.name != base && !name.MatchString(c.name) })
	}
	if w.beside != nil {
		beside := *w.beside
		beside.contenders = chosen(w.base, beside.contenders) // the same as below
		w.beside = &beside
	}
	w.contenders = chosen(w.base, w.contenders)
	return w
}

// A metric says what the numbers of a work are.
type metric struct {
	unit string
	less bool // less is better
}

func (m metric) atLeastAsGood(v, other float64) bool {
	if m.less {
		return v <= other
	}
	return v >= other
}

func (m metric) better() string {
	if m.less {
		return "lower"
	}
	return "higher"
}

// A placement says which cores the two sides of a contender are held to.
type placement string

const (
	same  placement = "same core" // both on one: the length of the path
	split placement = "split"     // the server has one, the client another
)

// A contender is one way to do a work: a server and a client, each a process
// of its own, that meet at an address that is new for each repetition.
type contender struct {
	name           string
	server, client func(at address) command
	// relay stands between the two, at an address of its own; nil where they meet without one.
	relay func(from, to address) command
	// broker is what both go to at the address, on the server's core; nil where the server is there itself.
	broker func(at address) command
	// patient is for a client that waits for the server itself, which then isn't tried before.
	patient bool
	target  *target // nil where nothing is promised
}

// A target is what a contender has to reach.
type target struct {
	// limit is of the ratio to the work's base, or where absolute is set of
	// the number itself. It is the most where less is better, else the least.
	limit    float64
	absolute bool
	// ahead names contenders that have to be surpassed as well, whatever the limit.
	ahead []string
}

func ratio(limit float64) *target    { return &target{limit: limit} }
func absolute(limit float64) *target { return &target{limit: limit, absolute: true} }

// reached tells whether a contender with this median and ratio is there. medians are those of all that gave numbers.
func (t *target) reached(m metric, median, ratio float64, medians map[string]float64) bool {
	v := ratio
	if t.absolute {
		v = median
	}
	for _, name := range t.ahead {
		if other, ok := medians[name]; ok && !m.atLeastAsGood(median, other) {
			return false
		}
	}
	return m.atLeastAsGood(v, t.limit)
}

func (t *target) describe(m metric, base string) string {
	sign := ">="
	if m.less {
		sign = "<="
	}
	ahead := ""
	if len(t.ahead) > 0 {
		ahead = ", ahead of " + strings.Join(t.ahead, ", ")
	}
	if t.absolute {
		return fmt.Sprintf("%s %g %s%s", sign, t.limit, m.unit, ahead)
	}
	return fmt.Sprintf("%s %g x %s%s", sign, math.Round(t.limit*100)/100, base, ahead)
}

// A command is a program and its arguments; the lab knows where the program is.
type command struct {
	program string
	args    []string
	config  string // the text of a file whose path is the last argument; empty for none
}

// Where programs come from.
const (
	goProgram     = "go"     // this binary again, as the party named by the first argument
	tincanProgram = "tincan" // the command of this repository
)

// goParty is the party of this binary that has this name.
func goParty(name string, args ...string) command {
	return command{program: goProgram, args: append([]string{name}, args...)}
}

// tincanCommand is the command of this repository.
func tincanCommand(args ...string) command { return command{program: tincanProgram, args: args} }

// cParty is a program of the folder c.
func cParty(name string, args ...string) command { return command{program: "c/" + name, args: args} }

// A run is what a repetition is made of.
type run struct {
	at             address // where the client goes
	server, client command
	relay          *command // between them, nil for none
	broker         *command // that both go to, nil for none
	patient        bool     // the client waits for the server
	to             address  // where it finds the server
	place          placement
}

// options are the flags of the command line that works depend on.
type options struct {
	time time.Duration // of one load
}

// seconds is o.time as the loads take it.
func (o options) seconds() string { return fmt.Sprint(o.time.Seconds()) }
