package cli

import (
	"context"
	"errors"
	"net"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// newFramedConn gives a connection that carries messages over a byte stream.
func newFramedConn(c net.Conn, f frame.Framing) *frame.Conn {
	return frame.NewConn(c, f, frame.DefaultLimit)
}

// framedStreams dials byte streams as message connections.
type framedStreams struct{ framing frame.Framing }

// DialMessage dials the stream.
func (t framedStreams) DialMessage(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (tincan.MessageConn, error) {
	c, err := d.DialEndpoint(ctx, e)
	if err != nil {
		return nil, err
	}
	return newFramedConn(c, t.framing), nil
}

// ListenMessage is not asked for: the clients of a FROM are framed as they come.
func (framedStreams) ListenMessage(context.Context, *tincan.ListenConfig, *tincan.Endpoint) (tincan.MessageListener, error) {
	return nil, errors.ErrUnsupported
}

// frameStreams makes c dial, for messages, the targets that carry streams alone.
func frameStreams(c *tincan.Config, plan *relayPlan) {
	own := map[string]tincan.MessageTransport{}
	for scheme, t := range c.MessageTransports {
		own[scheme] = t
	}
	for _, to := range plan.to {
		if !to.messages() {
			own[to.endpoint.Scheme] = framedStreams{plan.framing}
		}
	}
	c.MessageTransports = own
}

// largestMessage is how much room the longest message of any side takes.
func (pl *relayPlan) largestMessage() int {
	largest := 0
	for _, s := range append([]relaySide{pl.from}, pl.to...) {
		switch {
		case s.messages() && s.isLocal():
			largest = max(largest, largestPacket)
		case s.messages():
			largest = max(largest, largestMessage(s.endpoint))
		default:
			largest = max(largest, frame.DefaultLimit)
		}
	}
	return largest
}
