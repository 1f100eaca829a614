// Package vsock opens tincan's byte streams over VM sockets (vsock(7)), which
// connect a virtual machine with its host: vsock://cid:port. It is for Linux;
// elsewhere every endpoint is [errors.ErrUnsupported].
//
// The scheme is not built in. A program that wants it says so:
//
//	var d tincan.Dialer
//	vsock.AddTo(&d.Config)
//	c, err := d.Dial(ctx, "vsock://host:1024")
//
// The context id is a number, "host" (2), from which a guest reaches its host,
// or "local" (1), this machine itself where the kernel has the loopback
// transport. Empty or "*" is every context id of this machine for a listener,
// and local for a dialer. A listener takes a free port for 0.
//
// Half-close works. There is no abort, and a peer that is killed reads as an
// orderly end, because the kernel tells the two apart in no way.
package vsock

import (
	"fmt"
	"strconv"

	"github.com/tincan-ipc/tincan"
)

// Transport opens vsock. It is a [tincan.Transport]; the zero value works.
type Transport struct{}

var _ tincan.Transport = Transport{}

// AddTo makes c open vsock, adding a [Transport] to its Transports.
func AddTo(c *tincan.Config) {
	if c.Transports == nil {
		c.Transports = map[string]tincan.Transport{}
	}
	c.Transports["vsock"] = Transport{}
}

// Context ids with a meaning of their own; see vsock(7).
const (
	cidLocal = 1
	cidHost  = 2
	cidAny   = 1<<32 - 1
)

// address gives e's context id and port; unnamed is the id where e names none.
func address(e *tincan.Endpoint, unnamed uint32) (cid, port uint32, err error) {
	switch e.Host {
	case "", "*":
		cid = unnamed
	case "local":
		cid = cidLocal
	case "host":
		cid = cidHost
	default:
		if cid, err = number(e, "context id", e.Host); err != nil {
			return 0, 0, err
		}
	}
	port, err = number(e, "port", e.Port)
	return cid, port, err
}

// number is for endpoints that a program made by hand; [tincan.ParseEndpoint] checks the same.
func number(e *tincan.Endpoint, what, s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, &tincan.EndpointError{Input: e.String(), Problem: fmt.Sprintf("%s %q is not a number from 0 to %d", what, s, uint32(cidAny)), Remedy: "it looks like vsock://cid:port"}
	}
	return uint32(n), nil
}

// endpoint gives the endpoint of an address.
func endpoint(cid, port uint32) *tincan.Endpoint {
	e := &tincan.Endpoint{Scheme: "vsock", Host: strconv.FormatUint(uint64(cid), 10), Port: strconv.FormatUint(uint64(port), 10)}
	switch cid {
	case cidAny:
		e.Host = "*"
	case cidLocal:
		e.Host = "local"
	case cidHost:
		e.Host = "host"
	}
	return e
}
