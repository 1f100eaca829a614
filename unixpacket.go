package tincan

import (
	"context"
	"net"
)

// unixpacketTransport opens Unix sockets of type SOCK_SEQPACKET: connections
// as of a stream, which carry messages.
type unixpacketTransport struct{}

// newPacketListener gives message connections over what ln accepts.
func newPacketListener(lc *ListenConfig, e *Endpoint, ln *unixListener) *packetListener {
	l := &packetListener{trace: lc.trace(), turn: make(chan struct{}, 1)}
	// The program is told of the message connection, not of the socket beneath.
	quiet, t := *lc, *l.trace
	t.Accepted = nil
	quiet.Trace = &t
	l.l = newListener(&quiet, e, ln)
	l.guard.setDeadline = ln.SetDeadline
	return l
}

// packetListener gives message connections over what a Listener accepts.
type packetListener struct {
	l     *Listener
	trace *Trace
	turn  chan struct{} // holds one token while Accept uses guard
	guard ctxGuard
}

// Accept is as [MessageListener] says.
func (l *packetListener) Accept(ctx context.Context) (MessageConn, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-l.l.closed:
		return nil, l.opError(net.ErrClosed)
	case <-ctx.Done():
		return nil, l.opError(ctxError(ctx))
	}
	for {
		if err := l.guard.enter(ctx); err != nil {
			return nil, l.opError(err)
		}
		admitted, err := l.l.Accept()
		if err != nil {
			return nil, l.opError(explain(ctx, err))
		}
		s, _ := as[*net.UnixConn](admitted, false)
		c, err := messagesOver(s, l.l.addr.Network(), packets, 0, admitted.Close)
		if err != nil {
			if f := l.trace.Refused; f != nil {
				f(l.l.addr, admitted.RemoteAddr(), err)
			}
			continue // this peer's end, not the listener's
		}
		if f := l.trace.Accepted; f != nil {
			f(l.l.addr, c)
		}
		return c, nil
	}
}

func (l *packetListener) opError(err error) error {
	return ioError("accept", l.l.addr.Network(), nil, l.l.addr, err)
}

// Drain is for the function [Drain].
func (l *packetListener) Drain() error { return Drain(l.l) }

// Close removes the path and ends Accept. Accepted connections live on.
func (l *packetListener) Close() error {
	l.guard.release()
	return l.l.Close()
}

// Addr gives the endpoint, which can be dialled.
func (l *packetListener) Addr() net.Addr { return l.l.Addr() }
