package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/tincan-ipc/tincan"
)

// A control is a connection of its own by which a follower changes the state. The protocol has no answer to a change that
// was made; but lines are answered in their order, so a question after it whose answer is short tells that the
// server has come so far, and whether an error came before. What the follower itself is told is not touched by that.
type control struct {
	opts *FollowOptions
	dial lineDial
	turn chan struct{} // holds a token while somebody uses what follows

	conn  tincan.MessageConn // nil before the first change, and after a failure
	lines messageReader
	owed  int // snapshots that were asked for and have not come

	ctx    context.Context // until close
	cancel context.CancelFunc
}

// nothing is a prefix that no key has.
const nothing = "\x00"

func newControl(o *FollowOptions, dial lineDial) *control {
	c := &control{opts: o, dial: dial, turn: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// close ends a set that is under way, and waits for that.
func (c *control) close() {
	c.cancel()
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.drop()
}

func (c *control) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// set is [Follower.Set].
func (c *control) set(ctx context.Context, values map[string]any) error {
	line, err := setLine(values)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(net.ErrClosed) })()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.ctx.Err() != nil {
		return net.ErrClosed // and nobody would close a connection any more
	}
	used := c.conn != nil
	err = c.exchange(ctx, line)
	var refused *RemoteError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	c.drop()
	if used && ctx.Err() == nil {
		err = c.exchange(ctx, line) // the server may have closed it long ago, and to set twice is to set once
		if err != nil && !errors.As(err, &refused) {
			c.drop()
		}
	}
	if err != nil {
		err = causeOf(ctx, err)
	}
	return err
}

// setLine is the line that sets values.
func setLine(values map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"set": values}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	line := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(line) > MaxLine {
		return nil, fmt.Errorf("%w: a line of %d bytes, at most %d", ErrValue, len(line), MaxLine)
	}
	return line, nil
}

// exchange sends line and waits until the server has seen it. The turn is the caller's.
func (c *control) exchange(ctx context.Context, line []byte) error {
	if c.conn == nil {
		conn, err := c.dial(ctx, c.opts)
		if err != nil {
			return err
		}
		c.conn, c.lines = conn, messageReader{conn: conn, limit: int(c.opts.MaxLine)}
		c.owed = 1 // comes by itself
	}
	if err := c.conn.WriteMessage(ctx, line); err != nil {
		return err
	}
	if err := c.conn.WriteMessage(ctx, keysLine([]string{nothing})); err != nil {
		return err
	}
	c.owed++
	var refused error
	for c.owed > 0 {
		answer, err := c.lines.next(ctx)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if len(answer) == 0 {
			continue
		}
		u, err := parseUpdate(answer)
		var told *RemoteError
		switch {
		case errors.As(err, &told):
			refused = err
		case err != nil:
			return err
		case u.Snapshot != nil:
			c.owed--
		}
	}
	return refused
}
