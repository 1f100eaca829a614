package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How many connections idle: a rival that starts a process for each gets fewer.
const (
	manyIdle = 8000
	fewIdle  = 200
)

func idleSuite() suite {
	return suite{
		name:    "idle",
		summary: "memory of the server for each idle connection, against C epoll, bare net, socat, ncat",
		works: func(options) []work {
			return []work{idleMemory("unix"), idleMemory("tcp")}
		},
		parties: map[string]party{"bufio-echo": bufioEcho},
	}
}

func idleMemory(scheme string) work {
	contenders := append(echoServers(), contender{
		name:   "net, bufio pair",
		server: func(at address) command { return goParty("bufio-echo", at.String()) },
	})
	for i := range contenders {
		n := manyIdle
		switch name := contenders[i].name; {
		case isForking(name):
			n = fewIdle
			contenders[i].name = fmt.Sprintf("%s (%d)", name, n)
		case isOurs(name):
			contenders[i].target = absolute(4)
		}
		contenders[i].client = func(at address) command {
			return cParty("connections", "idle", at.String(), strconv.Itoa(n))
		}
	}
	return work{
		name: fmt.Sprintf("%s, each of %d connections that echoed a byte", scheme, manyIdle), scheme: scheme, place: split,
		metric: metric{unit: "KiB", less: true}, base: "net", contenders: contenders, measure: measureMemory,
	}
}

// measureMemory gives the memory that each of the client's connections costs the server, in KiB.
func measureMemory(ctx context.Context, l *lab, r run) ([]float64, error) {
	server, stop, err := l.startServing(ctx, r)
	if err != nil {
		return nil, err
	}
	defer stop()
	before, err := settledMemory(ctx, server.cmd.Process.Pid, quietTime/4) // it has done nothing yet
	if err != nil {
		return nil, err
	}
	conns, after, err := l.memoryWith(ctx, r, server)
	if err != nil {
		return nil, err
	}
	return []float64{float64(after-before) / float64(conns) / 1024}, nil
}

// memoryWith gives what server and its children take while r's client holds so many connections.
func (l *lab) memoryWith(ctx context.Context, r run, server *process) (conns, memory int, err error) {
	_, clientCore := l.coresOf(r.place)
	client, err := l.start(ctx, r.client, clientCore)
	if err != nil {
		return 0, 0, err
	}
	line, readErr := bufio.NewReader(client.stdout).ReadString('\n')
	conns, _ = strconv.Atoi(strings.TrimSpace(line))
	if conns > 0 {
		memory, err = settledMemory(ctx, server.cmd.Process.Pid, quietTime)
	}
	closeErr := client.stdin.Close() // that ends it
	if err := errors.Join(client.cmd.Wait(), closeErr); err != nil {
		return 0, 0, server.alsoSaid(client.failed(err))
	}
	if conns == 0 {
		return 0, 0, client.failed(readErr)
	}
	return conns, memory, err
}

const (
	quietTime  = time.Second      // how long a server with connections must be at rest
	settleTime = 15 * time.Second // how long that is waited for
)

// settledMemory waits until what a process and its children take has changed
// by less than a hundredth over a quiet time, and gives it in bytes.
func settledMemory(ctx context.Context, pid int, quiet time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for last := 0; ; {
		now, err := treeMemory(pid)
		if err != nil || last > 0 && math.Abs(float64(now-last)) < float64(last)/100 {
			return now, err
		}
		last = now
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			return last, nil // it never rests; this is what it is
		}
	}
}

// treeMemory sums what a process and all below it hold that the kernel can't take back: anonymous and shared
// memory, in which what several of them share counts once. Pages of programs and libraries, which the kernel may
// drop and read again, are left out: how many are there depends on what else runs and was read ahead.
func treeMemory(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	sum, err := parseHeld(string(text))
	if err != nil {
		return 0, err
	}
	for _, child := range children(pid) {
		n, err := treeMemory(child)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// parseHeld adds up what is not of a file in smaps_rollup, proc(5), in bytes.
func parseHeld(text string) (int, error) {
	sum, found := 0, 0
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "Pss_Anon" && name != "Pss_Shmem" && name != "SwapPss" {
			continue
		}
		kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		if err != nil {
			return 0, err
		}
		sum += kib << 10
		found++
	}
	if found != 3 {
		return 0, errors.New("smaps_rollup doesn't tell memory by its kind, as Linux does from 5.4 on")
	}
	return sum, nil
}

func children(pid int) []int {
	var pids []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		for _, word := range strings.Fields(string(readFile(f))) {
			if child, err := strconv.Atoi(word); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// bufioEcho URL is the server that is written without a thought: a buffered reader and writer each.
func bufioEcho(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return serveStreams(ctx, "net", args[0], func(c net.Conn) {
		r, w := bufio.NewReader(c), bufio.NewWriter(c)
		for {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			if err := w.WriteByte(b); err != nil {
				return
			}
			if r.Buffered() > 0 {
				continue
			}
			if err := w.Flush(); err != nil {
				return
			}
		}
	})
}
