package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	paceEvery  = 250 // messages between reports to a sender; c/pace.h has the same
	countEvery = 50  // messages of a receiver between two times that it is asked to count them
)

// paceAddress is where receivers tell the sender at a how far they are: beside what is measured.
func paceAddress(a address) string { return "@" + a.at + ".pace" }

// A pacer holds a sender to what its receivers can take: few enough messages under way that nothing is dropped.
type pacer struct {
	window  uint64
	granted uint64 // read by the sender alone

	mu    sync.Mutex // guards seen
	seen  int64      // messages that every receiver has had; -1 before all are there
	moved sync.Cond  // seen has grown
}

// listenPace waits for reports in the background.
func listenPace(ctx context.Context, at address, window int) (*pacer, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", paceAddress(at))
	if err != nil {
		return nil, err
	}
	p := &pacer{window: uint64(window), seen: -1}
	p.moved.L = &p.mu
	go func() {
		if err := p.read(l); err != nil {
			fmt.Fprintln(os.Stderr, "pace:", err) // the receivers have ended, and the sender will be
		}
	}()
	return p, nil
}

func (p *pacer) read(l net.Listener) error {
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	var report [8]byte
	for {
		if _, err := io.ReadFull(c, report[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		p.mu.Lock()
		p.seen = int64(binary.NativeEndian.Uint64(report[:]))
		p.mu.Unlock()
		p.moved.Signal()
	}
}

// ready tells whether all receivers are there.
func (p *pacer) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen >= 0
}

// wait returns when message n may be sent.
func (p *pacer) wait(n uint64) {
	if n < p.granted {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.seen < 0 || n >= uint64(p.seen)+p.window {
		p.moved.Wait()
	}
	p.granted = uint64(p.seen) + p.window
}

// turns waits until all receivers are there, and gives what waits until message n is to be sent: as soon as they can take it, or where a
// rate is given when so many a second make it due.
func (p *pacer) turns(rate int) func(n uint64) {
	for tick := time.NewTicker(10 * time.Millisecond); !p.ready(); <-tick.C {
	}
	if rate == 0 {
		return p.wait
	}
	start := time.Now()
	return func(n uint64) {
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(rate))))
	}
}

// A reporter tells a pacer how far the last of several receivers is.
type reporter struct {
	conn net.Conn

	mu    sync.Mutex // guards what follows, and writes
	count []int64    // of each receiver; -1 before it is there
	said  int64
	begun chan struct{} // closed when all have had something
}

// dialPace connects to the pacer of at, for which it waits.
func dialPace(ctx context.Context, at address, receivers int) (*reporter, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", paceAddress(at))
	for patience := 5000; errors.Is(err, syscall.ECONNREFUSED) && patience > 0; patience-- {
		time.Sleep(time.Millisecond)
		c, err = new(net.Dialer).DialContext(ctx, "unix", paceAddress(at))
	}
	if err != nil {
		return nil, err
	}
	return &reporter{conn: c, count: slices.Repeat([]int64{-1}, receivers), said: -1, begun: make(chan struct{})}, nil
}

// had says that receiver i is there and has had n messages. Receivers may call it at once.
func (r *reporter) had(i int, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[i] = int64(n)
	least := slices.Min(r.count)
	if r.said >= 0 && least < r.said+paceEvery || least < 0 {
		return
	}
	if least > 0 && r.said <= 0 {
		close(r.begun)
	}
	r.said = least
	// A sender that needs no more reports has hung up.
	_, _ = r.conn.Write(binary.NativeEndian.AppendUint64(nil, uint64(least)))
}

// awaitAll waits until all receivers have had something, or one of them has failed.
func (r *reporter) awaitAll(failed <-chan error) error {
	select {
	case <-r.begun:
		return nil
	case err := <-failed:
		return err
	}
}

// total gives the messages of all receivers.
func (r *reporter) total() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := uint64(0)
	for _, n := range r.count {
		sum += uint64(max(n, 0))
	}
	return sum
}
