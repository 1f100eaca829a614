package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An address is where the two sides of a contender meet.
type address struct {
	scheme string // tcp, udp, unix, unixpacket or unixgram
	at     string // host:port, or a path
}

// String gives it as the URL that tincan and the programs in C take.
func (a address) String() string {
	if a.isUnix() {
		return a.scheme + ":" + a.at
	}
	return a.scheme + "://" + a.at
}

func (a address) isUnix() bool { return strings.HasPrefix(a.scheme, "unix") }

// port is the port alone.
func (a address) port() string {
	_, port, _ := net.SplitHostPort(a.at)
	return port
}

// parseAddress is the inverse of String.
func parseAddress(url string) (address, error) {
	scheme, at, ok := strings.Cut(url, ":")
	if !ok {
		return address{}, fmt.Errorf("not an address: %q", url)
	}
	a := address{scheme, at}
	if !a.isUnix() {
		a.at = strings.TrimPrefix(at, "//")
	}
	return a, nil
}

// Ports below those that the system hands out, so that no client holds one by chance.
const (
	firstPort = 20000
	lastPort  = 32000
)

// newAddress gives an address that nobody uses.
func (l *lab) newAddress(scheme string) (address, error) {
	l.serial++
	if a := (address{scheme: scheme}); a.isUnix() {
		a.at = filepath.Join(l.dir, fmt.Sprintf("s%d", l.serial))
		return a, nil
	}
	for range lastPort - firstPort {
		port := firstPort + (os.Getpid()+l.serial)%(lastPort-firstPort)
		a := address{scheme, fmt.Sprintf("127.0.0.1:%d", port)}
		if isFree(a) {
			return a, nil
		}
		l.serial++
	}
	return address{}, errors.New("no port is free")
}

func isFree(a address) bool {
	var (
		c   interface{ Close() error }
		err error
	)
	if a.scheme == "udp" {
		c, err = net.ListenPacket(a.scheme, a.at)
	} else {
		c, err = net.Listen(a.scheme, a.at)
	}
	return err == nil && c.Close() == nil
}

// awaitServer tries a until a server is there, gone means the end, or ctx has ended.
func awaitServer(ctx context.Context, a address, gone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := knock(ctx, a)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-gone:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server isn't there: %w", err)
		}
	}
}

// knock finds out whether a server is there: one that can be connected to, and over UDP answers.
func knock(ctx context.Context, a address) error {
	c, err := new(net.Dialer).DialContext(ctx, a.scheme, a.at)
	if err != nil {
		return err
	}
	defer c.Close()
	if a.scheme != "udp" {
		return nil
	}
	if err := c.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{0}); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}
