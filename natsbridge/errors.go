package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tincan-ipc/tincan"
)

// Errors of this package, to be tested with [errors.Is].
var (
	// ErrLoop is a message that has been through the bridge already, or through too many.
	ErrLoop = errors.New("the message goes in a loop")
	// ErrFraming is a message whose parts are not as its header says.
	ErrFraming = errors.New("the parts are not as their header says")
	// ErrNotQueue is a stream that is there and is no work queue.
	ErrNotQueue = errors.New("the stream is no work queue")
)

// A RemoteError is a handler's error, as the one who asked gets it.
type RemoteError struct {
	// Reason is what the handler said.
	Reason string
}

func (e *RemoteError) Error() string { return "the service failed: " + e.Reason }

// A kindError is an error of nats.go that also is one which programs, and [tincan.KindOf], know.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

// kinds says which errors of nats.go are which of everybody's.
var kinds = []struct {
	kind error
	errs []error
}{
	{syscall.ECONNREFUSED, []error{nats.ErrNoResponders, nats.ErrNoServers, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount}},
	{os.ErrDeadlineExceeded, []error{nats.ErrTimeout, context.DeadlineExceeded, jetstream.ErrAsyncPublishTimeout}},
	{tincan.ErrMessageTooLong, []error{nats.ErrMaxPayload}},
	{net.ErrClosed, []error{nats.ErrConnectionClosed, nats.ErrBadSubscription, nats.ErrConnectionDraining, nats.ErrInvalidConnection}},
	{io.ErrUnexpectedEOF, []error{nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrStaleConnection, nats.ErrConnectionReconnecting}},
	{fs.ErrPermission, []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrPermissionViolation,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted, nats.ErrNkeysNotSupported,
	}},
}

// known is err as a kindError where it is of a kind.
func known(err error) error {
	var alert *net.OpError
	alerted := errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error") // as crypto/tls gives an alert
	if alerted || errors.Is(err, nats.ErrTLS) {                                                    // which also is a server that ends the connection where it wants a certificate
		return &tincan.HandshakeError{Layer: "tls", Err: err}
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return err
		}
		for _, e := range k.errs {
			if errors.Is(err, e) {
				return &kindError{err, k.kind}
			}
		}
	}
	if strings.Contains(strings.ToLower(err.Error()), "authorization violation") { // as the server has it, which nats.go passes on in some places
		return &kindError{err, fs.ErrPermission}
	}
	return err
}

// fail makes err, which may be nil, the error of an operation with subject. Nobody there is a failure to dial, whatever was tried.
func fail(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	err = known(err)
	if errors.Is(err, syscall.ECONNREFUSED) {
		op = "dial"
	}
	return &net.OpError{Op: op, Net: scheme, Addr: address(subject), Err: err}
}

// An address is a subject as a [net.Addr].
type address string

func (address) Network() string  { return scheme }
func (a address) String() string { return string(a) }

// tooLong refuses a message that the server would end the connection for.
func tooLong(nc *nats.Conn, m *nats.Msg) error {
	limit := nc.MaxPayload()
	if limit <= 0 {
		return nil // not connected now; the limit is the server's
	}
	size := int64(len(m.Data)) + headerSize(m.Header)
	if size <= limit && len(m.Subject) <= MaxSubject {
		return nil
	}
	if len(m.Subject) > MaxSubject {
		return fmt.Errorf("%w: a subject of %d bytes, and %d is the limit", tincan.ErrMessageTooLong, len(m.Subject), MaxSubject)
	}
	return fmt.Errorf("%w: %d bytes, and the server takes %d", tincan.ErrMessageTooLong, size, limit)
}

// headerSize is how many bytes h has on the wire.
func headerSize(h nats.Header) int64 {
	if len(h) == 0 {
		return 0
	}
	n := len(headerLine) + len("\r\n")
	for key, values := range h {
		for _, v := range values {
			n += len(key) + len(": ") + len(v) + len("\r\n")
		}
	}
	return int64(n)
}
