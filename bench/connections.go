package main

import (
	"fmt"
	"strconv"
)

// Loads of connections.
const (
	inFlight = 64 // connections at once
	// fewInFlight is for rivals that start a process for each: ncat's backlog is 10, and what
	// doesn't fit waits a second for TCP to try again.
	fewInFlight = 8
	// lineBuffer is what a server in Go reads into that knows that little comes.
	lineBuffer = "512"
)

func connectionSuite() suite {
	return suite{
		name:    "connections",
		summary: "connections per second (connect, echo one byte, close), against C epoll, bare net, socat, ncat",
		works: func(o options) []work {
			var works []work
			for _, scheme := range []string{"unix", "tcp"} {
				works = append(works, connectionRate(o, scheme))
			}
			return works
		},
		parties: map[string]party{"service-echo": serviceEcho},
	}
}

func connectionRate(o options, scheme string) work {
	contenders := echoServers()
	for i := range contenders {
		n := inFlight
		switch name := contenders[i].name; {
		case isForking(name):
			n = fewInFlight
			contenders[i].name = fmt.Sprintf("%s (%d)", name, n)
		case isOurs(name):
			contenders[i].target = ratio(0.75)
		}
		contenders[i].client = func(at address) command {
			return cParty("connections", "rate", at.String(), strconv.Itoa(n), o.seconds())
		}
	}
	return work{
		name: fmt.Sprintf("%s, %d at once connect, echo a byte, close", scheme, inFlight), scheme: scheme, place: split,
		metric: metric{unit: "1/s"}, base: "C epoll", contenders: contenders,
	}
}

// echoServers are the servers of many connections, with the client left open.
func echoServers() []contender {
	return []contender{
		{name: "C epoll", server: func(at address) command { return cParty("epollecho", at.String()) }},
		{name: "net", server: func(at address) command { return goParty("stream-echo", "net", at.String(), lineBuffer) }},
		{name: "tincan service", server: func(at address) command { return goParty("service-echo", at.String()) }},
		{name: "tincan serve echo", server: func(at address) command { return tincanCommand("serve", "echo", at.String()) }},
		{name: "socat fork", server: socatEcho},
		{name: "ncat", server: ncatEcho},
	}
}

func isOurs(name string) bool { return name == "tincan service" || name == "tincan serve echo" }

// isForking tells the rivals that start a process for each connection.
func isForking(name string) bool { return name == "socat fork" || name == "ncat" }

// socatEcho is a socat that starts a process for each connection, which echoes by itself (PIPE).
func socatEcho(at address) command {
	listen := "TCP-LISTEN:" + at.port() + ",bind=127.0.0.1,reuseaddr"
	if at.isUnix() {
		listen = "UNIX-LISTEN:" + at.at
	}
	return command{program: "socat", args: []string{listen + ",fork,backlog=128", "PIPE"}}
}

// ncatEcho is an ncat that starts a cat for each connection.
func ncatEcho(at address) command {
	args := []string{"--listen", "--keep-open", "--max-conns", "10000", "--exec", "/bin/cat"}
	if at.isUnix() {
		return command{program: "ncat", args: append(args, "--unixsock", at.at)}
	}
	return command{program: "ncat", args: append(args, "127.0.0.1", at.port())}
}
