package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/tincan-ipc/tincan"
)

func packetSuite() suite {
	return suite{
		name:    "packets",
		summary: "round trip of messages over MessageConn, against bare net and C",
		works: func(o options) []work {
			var works []work
			for _, scheme := range []string{"unixpacket", "unixgram", "udp"} {
				for _, p := range []placement{same, split} {
					works = append(works, packetTrips(o, scheme, p))
				}
			}
			return works
		},
		parties: map[string]party{"packet-echo": packetEcho, "packet-ping": packetPing},
	}
}

// packetTrips compares round trips. tincan's datagram server comes twice: answering in place, and
// with a MessageConn for each peer, which costs a hand-over from the goroutine that reads the socket.
func packetTrips(o options, scheme string, p placement) work {
	via := func(name, server, client string) contender {
		return contender{
			name:   name,
			server: func(at address) command { return goParty("packet-echo", server, at.String()) },
			client: func(at address) command { return goParty("packet-ping", client, at.String(), "64", o.seconds()) },
			target: ratio(1 + within),
		}
	}
	bare := via("net", "net", "net")
	bare.target = nil
	contenders := []contender{{
		name:   "C",
		server: func(at address) command { return cParty("pingpong", "serve", at.String()) },
		client: func(at address) command { return cParty("pingpong", "ping", at.String(), "64", o.seconds()) },
	}, bare, via("tincan", "tincan", "tincan")}
	if scheme != "unixpacket" {
		contenders[2] = via("tincan, ServeDatagrams", "inline", "tincan")
		contenders = append(contenders, via("tincan, Accept", "tincan", "tincan"), via("tincan as client, net as server", "net", "tincan"))
	}
	return work{
		name: scheme + " round trip 64 B", scheme: scheme, place: p,
		metric: metric{unit: "us", less: true}, base: "net", contenders: contenders,
	}
}

// packetBuffer holds any message of these works.
const packetBuffer = 64 << 10

// packetEcho net|tincan|inline URL
func packetEcho(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	if args[0] == "net" {
		return netPacketEcho(ctx, args[1])
	}
	l, err := tincan.ListenMessage(ctx, args[1])
	if err != nil {
		return err
	}
	defer l.Close()
	if args[0] == "inline" {
		return tincan.ServeDatagrams(ctx, l, func(d *tincan.Datagram) []byte { return d.Payload })
	}
	for {
		c, err := l.Accept(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buf := make([]byte, packetBuffer)
			for {
				n, err := c.ReadMessage(ctx, buf)
				if err != nil {
					return
				}
				if err := c.WriteMessage(ctx, buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// netPacketEcho is as short as package net allows for each family.
func netPacketEcho(ctx context.Context, url string) error {
	at, err := parseAddress(url)
	if err != nil {
		return err
	}
	if at.scheme == "unixpacket" {
		return serveStreams(ctx, "net", url, func(c net.Conn) {
			buf := make([]byte, packetBuffer)
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
	c, err := new(net.ListenConfig).ListenPacket(ctx, at.scheme, at.at)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := echoDatagrams(c); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// echoDatagrams answers until c is closed. An answer that its peer no longer awaits is no fault.
func echoDatagrams(c net.PacketConn) error {
	buf := make([]byte, packetBuffer)
	if udp, ok := c.(*net.UDPConn); ok {
		for { // without an allocation for each address
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return err
			}
			_, _ = udp.WriteToUDPAddrPort(buf[:n], from)
		}
	}
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		if from == nil {
			continue // a peer without a name can't be answered
		}
		_, _ = c.WriteTo(buf[:n], from)
	}
}

// packetPing net|tincan URL SIZE SECONDS
func packetPing(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	size, limit, err := parseLoad(args[2:])
	if err != nil {
		return err
	}
	trip := netPacketTrip
	if args[0] == "tincan" {
		trip = tincanPacketTrip
	}
	once, c, err := trip(ctx, args[1], make([]byte, size), make([]byte, packetBuffer))
	if err != nil {
		return err
	}
	defer c.Close()
	return timeTrips(limit, once)
}

// checkEcho is an error where n is not the length of what was sent.
func checkEcho(n int, out []byte, err error) error {
	if err == nil && n != len(out) {
		return fmt.Errorf("%d bytes came back, %d were sent", n, len(out))
	}
	return err
}

func netPacketTrip(ctx context.Context, url string, out, in []byte) (func() error, io.Closer, error) {
	at, err := parseAddress(url)
	if err != nil {
		return nil, nil, err
	}
	d := &net.Dialer{}
	if at.scheme == "unixgram" { // without a name of its own it can't be answered
		d.LocalAddr = &net.UnixAddr{Name: at.at + ".client", Net: at.scheme}
	}
	c, err := d.DialContext(ctx, at.scheme, at.at)
	if err != nil {
		return nil, nil, err
	}
	return func() error {
		if _, err := c.Write(out); err != nil {
			return err
		}
		n, err := c.Read(in)
		return checkEcho(n, out, err)
	}, c, nil
}

func tincanPacketTrip(ctx context.Context, url string, out, in []byte) (func() error, io.Closer, error) {
	if path, ok := strings.CutPrefix(url, "unixgram:"); ok {
		url += "?local=" + path + ".client"
	}
	c, err := tincan.DialMessage(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	return func() error {
		if err := c.WriteMessage(ctx, out); err != nil {
			return err
		}
		n, err := c.ReadMessage(ctx, in)
		return checkEcho(n, out, err)
	}, c, nil
}
