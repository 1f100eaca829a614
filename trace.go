package tincan

import (
	"net"
	"time"
)

// A Trace is told each step of dialling, listening and serving. Any function
// may be nil, and with a nil Trace nothing is paid. The functions are called
// from the goroutine that takes the step, several at once; they must not block.
//
// The precedent is [net/http/httptrace.ClientTrace].
type Trace struct {
	// Resolved tells the addresses that host was found to have.
	Resolved func(host string, addrs []string, took time.Duration, err error)
	// Connecting tells that a connection to addr begins.
	Connecting func(network, addr string)
	// Connected tells that the connection to addr succeeded, or how it failed.
	Connected func(network, addr string, took time.Duration, err error)
	// Handshaken tells that the "tls" or "ws" handshake of c ended, or one of
	// package relay: "socks5" or "http" with a proxy, or "proxy", the PROXY header of a client.
	Handshaken func(c Conn, layer string, took time.Duration, err error)
	// Retrying tells that dialling failed and will be tried again after wait.
	Retrying func(e *Endpoint, attempt int, wait time.Duration, err error)
	// Listening tells that addr is bound and can be connected to.
	Listening func(addr net.Addr)
	// Accepted tells of a new connection, or of a new peer of a datagram listener.
	Accepted func(listener net.Addr, c Conn)
	// Refused tells of a peer that a rule turned away, or that was lost before it could be accepted.
	Refused func(listener net.Addr, remote net.Addr, err error)
	// Pausing tells that accepting pauses because err (such as EMFILE) is one that time may cure.
	Pausing func(listener net.Addr, wait time.Duration, err error)
	// Dropped tells of a datagram from remote that found its queue full.
	Dropped func(listener net.Addr, remote net.Addr, size int)
	// HalfClosed tells that one direction of c ended in order: side is Local
	// when this side ended its sending, Remote when the peer did.
	HalfClosed func(c Conn, side Side)
	// Closed tells that c ended: nil in order, else the reason; with the bytes received and sent.
	Closed func(c Conn, received, sent int64, err error)
}

// A Side is one end of a connection.
type Side int

// The sides of a connection.
const (
	Local Side = iota
	Remote
)

// String gives "local" or "remote".
func (s Side) String() string {
	if s == Local {
		return "local"
	}
	return "remote"
}
