package tincan

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An ErrorKind tells what sort of failure an error is, so that a program can
// decide what to do without knowing each family's errors. See [KindOf].
type ErrorKind int

// The kinds of error. The command's exit codes follow from them.
const (
	// KindNone is no error, or an orderly end of stream ([io.EOF]).
	KindNone ErrorKind = iota
	// KindOther is an error of no other kind.
	KindOther
	// KindUsage is a wrong endpoint URL or option; trying again won't help.
	KindUsage
	// KindConnect is a peer that could not be reached: refused, unknown host, no route, no such path.
	KindConnect
	// KindTimeout is a deadline that passed.
	KindTimeout
	// KindReset is a connection that the peer reset, or that ended in the middle of something.
	KindReset
	// KindDenied is a peer that TLS, a permission or a rule turned away.
	KindDenied
	// KindBind is a local address that could not be taken.
	KindBind
)

var kindNames = [...]string{"none", "other", "usage", "connect", "timeout", "reset", "denied", "bind"}

// String gives the kind's name in lower case.
func (k ErrorKind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Passing reports whether time may cure an error of this kind, so that
// trying again makes sense.
func (k ErrorKind) Passing() bool {
	return k == KindConnect || k == KindTimeout || k == KindReset
}

// Errors of this package, to be tested with [errors.Is].
var (
	// ErrNotAllowed is a peer that an allow rule turned away.
	ErrNotAllowed = errors.New("not allowed by the endpoint's rules")
	// ErrTooManyConns is a peer turned away because its source, or all
	// sources together, hold as many connections as they may.
	ErrTooManyConns = errors.New("too many connections")
	// ErrInUse is a path that a live server, or something that is no socket, holds.
	ErrInUse = errors.New("path is in use")
	// ErrNoTransport is a scheme that no transport was given for; see [Config].
	ErrNoTransport = errors.New("no transport for this scheme")
	// ErrMessageTooLong is a message longer than its family or the peer's limit allows. It was not sent.
	ErrMessageTooLong = errors.New("message too long")
)

// OpError makes err one of the operation op, "dial" or "listen", on e, as those of package net are. The address is e
// without the scheme, which Net is. It is for transports.
func OpError(op string, e *Endpoint, err error) *net.OpError {
	return &net.OpError{Op: op, Net: e.Scheme, Addr: schemeless{e}, Err: err}
}

// schemeless is an endpoint that is named behind its scheme.
type schemeless struct{ *Endpoint }

func (a schemeless) String() string {
	return strings.TrimPrefix(strings.TrimPrefix(a.Endpoint.String(), a.Scheme+":"), "//")
}

// endpointError is OpError, unless err is already told as it should be. Systems don't say that there is no such interface.
func endpointError(op string, e *Endpoint, err error) error {
	var (
		opErr          *net.OpError
		wrong          *EndpointError
		_, zone, zoned = strings.Cut(e.Host, "%")
	)
	switch {
	case errors.As(err, &wrong):
		return err
	case zoned && !isInterface(zone):
		return OpError(op, e, fmt.Errorf("there is no interface %s", zone))
	case errors.As(err, &opErr) && opErr.Op == op:
		return err
	}
	return OpError(op, e, err)
}

// isInterface reports whether this host has an interface of the name or number.
func isInterface(zone string) bool {
	if n, err := strconv.Atoi(zone); err == nil {
		_, err = net.InterfaceByIndex(n)
		return err == nil
	}
	_, err := net.InterfaceByName(zone)
	return err == nil
}

// KindOf tells the kind of err. It looks through wrapped errors and knows
// those of this package, the standard library and the operating system.
func KindOf(err error) ErrorKind {
	var (
		endpointErr *EndpointError
		opErr       *net.OpError
	)
	op, network := "", ""
	if errors.As(err, &opErr) {
		op, network = opErr.Op, opErr.Net
	}
	switch {
	case err == nil || err == io.EOF: // only the bare one is an orderly end
		return KindNone
	case errors.As(err, &endpointErr), errors.Is(err, ErrNoTransport):
		return KindUsage
	case isDenied(err):
		return KindDenied
	case op == "listen":
		return KindBind
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return KindTimeout
	case isAny(err, refusedErrnos):
		return KindConnect // for UDP it comes with a later read or write
	case op == "dial" && (!strings.HasPrefix(network, "tcp") || !isAny(err, resetErrnos)):
		return KindConnect // TCP is reset only when it stood; vsock refuses by a reset
	case isReset(err):
		return KindReset
	}
	return KindOther
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) || isAny(err, resetErrnos)
}

// isAny reports whether err is one of targets.
func isAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// isDenied knows the errors of TLS, in both directions, and of rules and permissions.
func isDenied(err error) bool {
	var (
		alert     tls.AlertError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		handshake *HandshakeError
	)
	var alerted *net.OpError // crypto/tls gives an alert, sent or received, so
	if errors.As(err, &alerted) && (alerted.Op == "remote error" || alerted.Op == "local error") {
		return true
	}
	return errors.Is(err, ErrNotAllowed) || errors.Is(err, ErrTooManyConns) || errors.Is(err, fs.ErrPermission) && !isListen(err) ||
		errors.As(err, &alert) || errors.As(err, &record) || errors.As(err, &verify) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.As(err, &handshake) && !handshake.Timeout()
}

// isListen keeps a port or path that may not be bound apart from a peer turned away.
func isListen(err error) bool {
	var opErr *net.OpError
	return errors.As(err, &opErr) && opErr.Op == "listen"
}

// A HandshakeError is a TLS or WebSocket handshake that failed, or a PROXY header that did not come.
type HandshakeError struct {
	// Layer is "tls", "ws" or, for package relay's PROXY header, "proxy".
	Layer string
	// Err is the cause.
	Err error
}

func (e *HandshakeError) Error() string { return e.Layer + " handshake: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Timeout reports whether the handshake took too long.
func (e *HandshakeError) Timeout() bool { return isTimeout(e.Err) }
