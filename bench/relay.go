package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

// relayRate is what one second of load comes to, in bytes: about what two hops over one core take.
const relayRate = 2 << 30

func relaySuite() suite {
	return suite{
		name:    "relay",
		summary: "bulk through a relay, and the CPU time of the relay alone, against C splice, io.Copy, socat, ncat, haproxy",
		works: func(o options) []work {
			return []work{relayTransfer(o, "tcp", "tcp"), relayTransfer(o, "tcp", "unix"), relayTransfer(o, "unix", "unix")}
		},
		parties: map[string]party{"relay-tincan": relayTincan, "relay-copy": relayCopy},
	}
}

func relayTransfer(o options, from, to string) work {
	size := int64(o.time.Seconds() * relayRate)
	contenders := streamRelays()
	processor := slices.Clone(contenders)
	for i := range contenders {
		contenders[i].server = func(at address) command { return cParty("transfer", "sink", at.String()) }
		contenders[i].client = func(at address) command {
			return cParty("transfer", "pour", at.String(), strconv.FormatInt(size, 10))
		}
		if isOurRelay(contenders[i].name) {
			contenders[i].target = ratio(0.95)
			processor[i].target = ratio(1.15)
			processor[i].target.ahead = []string{"socat", "socat -b262144", "ncat"}
		}
	}
	name := fmt.Sprintf("%s to %s, %.3g GiB", from, to, float64(size)/(1<<30))
	return work{
		name: name, scheme: from, to: to, place: split, metric: metric{unit: "GB/s"}, base: "C splice",
		contenders: contenders, measure: measureTransfer,
		beside: &work{
			name: name + ", CPU of the relay", metric: metric{unit: "s/GB", less: true}, base: "C splice", contenders: processor,
		},
	}
}

// streamRelays are the relays of streams, with both ends left open.
func streamRelays() []contender {
	return []contender{
		{name: "C splice", relay: func(from, to address) command { return cParty("splicerelay", from.String(), to.String()) }},
		{name: "io.Copy", relay: func(from, to address) command { return goParty("relay-copy", from.String(), to.String()) }},
		{name: "package relay", relay: packageRelay},
		{name: "tincan relay", relay: tincanRelay},
		{name: "socat", relay: func(from, to address) command { return socatRelay(from, to) }},
		{name: "socat -b262144", relay: func(from, to address) command { return socatRelay(from, to, "-b262144") }},
		{name: "ncat", relay: ncatRelay},
		{name: "haproxy", relay: haproxyRelay},
	}
}

func isOurRelay(name string) bool { return name == "package relay" || name == "tincan relay" }

func packageRelay(from, to address) command {
	return goParty("relay-tincan", from.String(), to.String())
}

func tincanRelay(from, to address) command { return tincanCommand("relay", from.String(), to.String()) }

// socatRelay is a socat that starts a process for each client.
func socatRelay(from, to address, flags ...string) command {
	listen := "TCP-LISTEN:" + from.port() + ",bind=127.0.0.1,reuseaddr,fork,backlog=128"
	if from.isUnix() {
		listen = "UNIX-LISTEN:" + from.at + ",fork,backlog=128"
	}
	dial := "TCP:" + to.at
	if to.isUnix() {
		dial = "UNIX-CONNECT:" + to.at
	}
	return command{program: "socat", args: append(flags, listen, dial)}
}

// ncatRelay is an ncat that starts another for each client, which is how its manual relays.
func ncatRelay(from, to address) command {
	dial := "exec ncat 127.0.0.1 " + to.port()
	if to.isUnix() {
		dial = "exec ncat --unixsock " + to.at
	}
	args := []string{"--listen", "--keep-open", "--max-conns", "10000", "--sh-exec", dial}
	if from.isUnix() {
		return command{program: "ncat", args: append(args, "--unixsock", from.at)}
	}
	return command{program: "ncat", args: append(args, "127.0.0.1", from.port())}
}

// haproxyRelay is haproxy with one thread, in the foreground, that splices where it can.
func haproxyRelay(from, to address) command {
	at := func(a address) string {
		if a.isUnix() {
			return "unix@" + a.at
		}
		return a.at
	}
	return command{program: "haproxy", args: []string{"-db", "-f"}, config: fmt.Sprintf(`global
	maxconn 4000
	nbthread 1
	tune.pipesize 1048576
defaults
	mode tcp
	option splice-auto
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen relay
	bind %s
	server far %s
`, at(from), at(to))}
}

// measureTransfer gives what passes in a second, in GB, and what each costs the relay of processor time.
func measureTransfer(ctx context.Context, l *lab, r run) ([]float64, error) {
	rate, took, err := l.measureRelay(ctx, r)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseFloat(r.client.args[len(r.client.args)-1], 64)
	return []float64{rate, took.Seconds() / (size / 1e9)}, err
}

// measureRelay gives the number that the client prints, and the processor time that it cost the relay
// and what that started. What the relay took until it was ready doesn't count.
func (l *lab) measureRelay(ctx context.Context, r run) (number float64, took time.Duration, err error) {
	if err := adoptOrphans(); err != nil {
		return 0, 0, err
	}
	_, clientCore := l.coresOf(r.place)
	relay, stop, err := l.startServing(ctx, r)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	before, err := processorTime(relay.cmd.Process.Pid)
	if err != nil {
		return 0, 0, relay.failed(err)
	}
	client, err := l.start(ctx, r.client, clientCore)
	if err != nil {
		return 0, 0, err
	}
	numbers, err := client.numbers()
	if err != nil {
		return 0, 0, relay.alsoSaid(err)
	}
	relay.stop() // its time is known then, and that of its children
	ended := relay.cmd.ProcessState
	return numbers[0], ended.UserTime() + ended.SystemTime() + orphansTime(relay.cmd.Process.Pid) - before, nil
}

// relayTincan FROM TO is package relay on the server loop, with nothing around it.
func relayTincan(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	to, err := tincan.ParseEndpoint(args[1])
	if err != nil {
		return err
	}
	s, f := &service.Server{Drain: -1}, &relay.Forwarder{Targets: []*tincan.Endpoint{to}}
	if strings.HasPrefix(to.Scheme, "udp") {
		l, err := tincan.ListenMessage(ctx, args[0])
		if err != nil {
			return err
		}
		return s.ServeMessageConns(ctx, l, f.Message)
	}
	l, err := tincan.Listen(ctx, args[0])
	if err != nil {
		return err
	}
	return s.Serve(ctx, l, f.Stream)
}

// relayCopy FROM TO is the relay that everybody writes: bare net, and io.Copy each way.
func relayCopy(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	return serveStreams(ctx, "net", args[0], func(client net.Conn) {
		target, err := dialStream(ctx, "net", args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer target.Close()
		pass := func(dst, src net.Conn) {
			_, err := io.Copy(dst, src)
			if end := dst.(interface{ CloseWrite() error }).CloseWrite(); err != nil && !errors.Is(end, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			pass(client, target)
		}()
		pass(target, client)
		<-done
	})
}
