package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/frame"
)

// A client is the receiving side of a connection that can say something.
type client struct {
	server *Server
	// whole says that the end of its sending is the end of the connection.
	whole bool
	asks  chan ask
	done  chan struct{} // closed when nobody takes asks any more

	left  atomic.Bool // the client has ended its sending
	ended atomic.Bool // and this side its own, in order
}

func newClient(s *Server) *client {
	return &client{server: s, asks: make(chan ask), done: make(chan struct{})}
}

// errLong is a client's line that is too long.
var errLong = fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, MaxLine)

// read takes in the client's lines until they end.
func (c *client) read(next func() ([]byte, error)) {
	for {
		line, err := next()
		switch {
		case errors.Is(err, io.EOF):
			c.left.Store(true)
			if c.whole {
				c.put(ask{end: io.EOF})
			}
			return
		case errors.Is(err, frame.ErrTooLong):
			c.put(ask{err: errLong, last: true})
			return
		case err != nil:
			c.put(ask{end: err})
			return
		case c.ended.Load():
			return
		case len(line) == 0:
			continue // as a person makes at a terminal
		}
		if a, answered := c.server.request(line); answered && !c.put(a) {
			return
		}
	}
}

// put hands a over to the goroutine that tells the client, which may be waiting for it to read.
func (c *client) put(a ask) bool {
	select {
	case c.asks <- a:
		return true
	case <-c.done:
		return false
	}
}

// outcome is how the connection ended, where err ended it: in order if that says only that a client which had taken leave is gone.
func (c *client) outcome(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), c.left.Load() && tincan.KindOf(err) == tincan.KindReset:
		return nil
	case errors.Is(err, errLast):
		return nil // it was told
	}
	return err
}
