package tincan

import (
	"context"
	"errors"
	"net"
)

// A Datagram is one message that [ServeDatagrams] hands to its answer function.
type Datagram struct {
	// Payload is the message. It is valid until answer returns, and answer may
	// overwrite it and return a part of it as the reply.
	Payload []byte
	from    func() net.Addr
}

// From gives the sender's address; it allocates. It is nil for an unnamed Unix socket.
func (d *Datagram) From() net.Addr { return d.from() }

// ServeDatagrams reads the datagrams that arrive on l and sends back what
// answer gives for each: nil for no reply, an empty slice for an empty one.
// There is no connection per peer, so peers cost no memory; on Linux many
// datagrams pass in one system call. The reply leaves from the address that the
// request was sent to. answer is called for one datagram of a socket at a time and
// so must not block; [ServeDatagrams] and Accept must not be used on one listener both.
//
// It blocks until ctx ends (the error is nil: what was read has been answered)
// or l is closed ([net.ErrClosed]). A reply that can't be sent is dropped, as the network
// might have done. Where the family has no datagrams the error is [errors.ErrUnsupported].
func ServeDatagrams(ctx context.Context, l MessageListener, answer func(d *Datagram) (reply []byte)) error {
	s, ok := l.(interface {
		serveDatagrams(ctx context.Context, answer func(d *Datagram) []byte) error
	})
	if !ok {
		return &net.OpError{Op: "serve", Net: l.Addr().Network(), Addr: l.Addr(), Err: errors.ErrUnsupported}
	}
	return s.serveDatagrams(ctx, answer)
}
