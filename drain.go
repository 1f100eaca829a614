package tincan

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds of what a listener gives after Drain: without them, clients that come faster than they are accepted would
// keep it from its end.
const (
	maxDrained   = 1 << 16 // no system's queue is longer
	maxDrainTime = time.Second
)

// drainWait bounds the wait for a connection that was there a moment ago: another process may have taken it.
const drainWait = 10 * time.Millisecond

// Drain makes l, a [net.Listener] or a [MessageListener], wait for no more connections: its Accept, a call that blocks too, gives
// those that the system has accepted and that wait in its queue, under the same rules as before, and then [net.ErrClosed].
// Close alone would reset them, who may have sent their requests long ago.
//
// Drain does not block. Accept must be called until it fails, and then Close, until when the address stays bound; whoever
// connects meanwhile is accepted too, for a second and 65,536 connections at most.
//
// The error is a [*net.OpError], of [errors.ErrUnsupported] where the family or the system can't tell what is queued: then l is
// as it was. TCP and Unix streams and packets can, and what runs on them, but not on Windows. A listener that wraps
// another passes it on by a method Drain that calls this.
func Drain(l interface{ Addr() net.Addr }) error {
	err := errors.ErrUnsupported
	if d, ok := l.(interface{ Drain() error }); ok {
		err = d.Drain()
	}
	if err == nil {
		return nil
	}
	return ioError("drain", l.Addr().Network(), nil, l.Addr(), err)
}

// Drain is as the function [Drain].
func (l *Listener) Drain() error { return Drain(l.ln) }

// A systemListener is one whose queue the system keeps.
type systemListener interface {
	net.Listener
	syscall.Conn
	SetDeadline(t time.Time) error
}

// A queueListener is a systemListener that can be drained.
type queueListener struct {
	systemListener
	draining atomic.Bool

	mu    sync.Mutex // guards what follows, and the deadline once draining is set
	until time.Time  // no further connection is given after this
	left  int        // nor after so many
}

// drainable gives ln with Drain, where ln is the system's.
func drainable(ln net.Listener) net.Listener {
	if s, ok := ln.(systemListener); ok {
		return &queueListener{systemListener: s}
	}
	return ln
}

// Drain is for the function [Drain]. It wakes Accept by a deadline, which the system asks for before it looks into the queue: so
// Accept looks into the queue first from then on.
func (l *queueListener) Drain() error {
	if _, err := l.queued(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining.Load() {
		return nil
	}
	l.until, l.left = time.Now().Add(maxDrainTime), maxDrained
	l.draining.Store(true)
	return l.SetDeadline(longAgo)
}

func (l *queueListener) Accept() (net.Conn, error) {
	for {
		if l.draining.Load() && !l.next() {
			return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
		}
		c, err := l.systemListener.Accept()
		if l.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		return c, err
	}
}

// next reports whether a connection is there to be accepted in the drain, and lets Accept have it.
func (l *queueListener) next() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.left == 0 || now.After(l.until) {
		return false
	}
	if waits, err := l.queued(); err != nil || !waits {
		return false
	}
	l.left--
	return l.SetDeadline(now.Add(drainWait)) == nil
}

// queued reports whether the next Accept would not wait.
func (l *queueListener) queued() (bool, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false, err
	}
	return readable(raw)
}
