package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/tincan-ipc/tincan"
)

// within is the target of endpoints: this near to bare net.
const within = 0.03

// pieceSize is what bulk data is written in.
const pieceSize = 64 << 10

func streamSuite() suite {
	return suite{
		name:    "streams",
		summary: "round trip and bulk over tincan.Dial and Listen, against bare net and C",
		works: func(o options) []work {
			var works []work
			for _, scheme := range []string{"unix", "tcp"} {
				for _, p := range []placement{same, split} {
					works = append(works, streamTrips(o, scheme, p))
				}
				works = append(works, streamBulk(o, scheme))
			}
			return works
		},
		parties: map[string]party{
			"stream-echo": streamEcho, "stream-ping": streamPing,
			"stream-sink": streamSink, "stream-pour": streamPour,
		},
	}
}

func streamTrips(o options, scheme string, p placement) work {
	via := func(library string) contender {
		return contender{
			name:   library,
			server: func(at address) command { return goParty("stream-echo", library, at.String(), strconv.Itoa(pieceSize)) },
			client: func(at address) command { return goParty("stream-ping", library, at.String(), "64", o.seconds()) },
		}
	}
	ours, c := via("tincan"), contender{
		name:   "C",
		server: func(at address) command { return cParty("pingpong", "serve", at.String()) },
		client: func(at address) command { return cParty("pingpong", "ping", at.String(), "64", o.seconds()) },
	}
	ours.target = ratio(1 + within)
	return work{
		name: scheme + " round trip 64 B", scheme: scheme, place: p,
		metric: metric{unit: "us", less: true}, base: "net", contenders: []contender{c, via("net"), ours},
	}
}

func streamBulk(o options, scheme string) work {
	size := strconv.Itoa(pieceSize)
	via := func(library string) contender {
		return contender{
			name:   library,
			server: func(at address) command { return goParty("stream-sink", library, at.String()) },
			client: func(at address) command { return goParty("stream-pour", library, at.String(), size, o.seconds()) },
		}
	}
	ours, c := via("tincan"), contender{
		name:   "C",
		server: func(at address) command { return cParty("bulk", "sink", at.String()) },
		client: func(at address) command { return cParty("bulk", "pour", at.String(), size, o.seconds()) },
	}
	ours.target = ratio(1 - within)
	return work{
		name: scheme + " bulk in writes of 64 KiB", scheme: scheme, place: split,
		metric: metric{unit: "GB/s"}, base: "net", contenders: []contender{c, via("net"), ours},
	}
}

// dialStream connects by the library that is named. It and listenStream are
// all that differs between the contenders in Go.
func dialStream(ctx context.Context, library, url string) (net.Conn, error) {
	if library == "tincan" {
		return tincan.Dial(ctx, url)
	}
	at, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, at.scheme, at.at)
}

func listenStream(ctx context.Context, library, url string) (net.Listener, error) {
	if library == "tincan" {
		return tincan.Listen(ctx, url)
	}
	at, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	return new(net.ListenConfig).Listen(ctx, at.scheme, at.at)
}

// serveStreams runs serve for each connection in a goroutine of its own, until ctx ends.
func serveStreams(ctx context.Context, library, url string, serve func(net.Conn)) error {
	l, err := listenStream(ctx, library, url)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// streamEcho LIBRARY URL BUFFER
func streamEcho(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	return serveStreams(ctx, args[0], args[1], func(c net.Conn) {
		buf := make([]byte, size)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

// streamPing LIBRARY URL SIZE SECONDS
func streamPing(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	size, limit, err := parseLoad(args[2:])
	if err != nil {
		return err
	}
	c, err := dialStream(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	defer c.Close()
	out, in := make([]byte, size), make([]byte, size)
	return timeTrips(limit, func() error {
		if _, err := c.Write(out); err != nil {
			return err
		}
		_, err := io.ReadFull(c, in)
		return err
	})
}

// streamSink LIBRARY URL
func streamSink(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	return serveStreams(ctx, args[0], args[1], func(c net.Conn) {
		buf := make([]byte, pieceSize)
		for {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
		_, _ = c.Write(buf[:1]) // a peer that is gone needs no answer
	})
}

// streamPour LIBRARY URL SIZE SECONDS
func streamPour(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	size, limit, err := parseLoad(args[2:])
	if err != nil {
		return err
	}
	c, err := dialStream(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	defer c.Close()
	piece, bytes, start := make([]byte, size), 0, time.Now()
	for time.Since(start) < limit {
		for range 64 {
			n, err := c.Write(piece)
			if err != nil {
				return err
			}
			bytes += n
		}
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, piece[:1]); err != nil {
		return err
	}
	fmt.Println(float64(bytes) / time.Since(start).Seconds() / 1e9)
	return nil
}

// parseLoad reads SIZE SECONDS.
func parseLoad(args []string) (size int, limit time.Duration, err error) {
	size, sizeErr := strconv.Atoi(args[0])
	seconds, secondsErr := strconv.ParseFloat(args[1], 64)
	return size, time.Duration(seconds * float64(time.Second)), errors.Join(sizeErr, secondsErr)
}

// timeTrips makes round trips for so long, after a fifth of it to warm up, and
// prints the microseconds of one.
func timeTrips(limit time.Duration, trip func() error) error {
	rate, err := perSecond(limit, trip)
	if err != nil {
		return err
	}
	fmt.Println(1e6 / rate)
	return nil
}

// perSecond does something for so long, after a fifth of it to warm up, and gives how often in a second.
func perSecond(limit time.Duration, once func() error) (float64, error) {
	repeat := func(limit time.Duration) (float64, error) {
		const chunk = 64 // the clock costs something too
		start := time.Now()
		for n := 0; ; {
			for range chunk {
				if err := once(); err != nil {
					return 0, err
				}
			}
			n += chunk
			if took := time.Since(start); took >= limit {
				return float64(n) / took.Seconds(), nil
			}
		}
	}
	if _, err := repeat(limit / 5); err != nil {
		return 0, err
	}
	return repeat(limit)
}
