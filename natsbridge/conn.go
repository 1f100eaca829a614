package natsbridge

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tincan-ipc/tincan"
)

// Dial connects to e and gives a message connection to whoever serves its subject, for clients that ask over one: what is written
// is a request, what is read its reply. Closing it closes the connection to NATS.
//
// A reply to any but the request that was written last is left out: one that comes late is never taken for another's. So a
// connection asks one thing at a time. Where nobody serves the subject ReadMessage fails with [syscall.ECONNREFUSED], and where the
// handler failed with a [*RemoteError]; both end that request alone. o may be nil. The rest is as for [Connect].
func Dial(ctx context.Context, e *Endpoint, o *ConnectOptions) (tincan.MessageConn, error) {
	nc, err := Connect(ctx, e, o)
	if err != nil {
		return nil, err
	}
	c, err := newConn(nc, e.Subject)
	if err != nil {
		_ = Close(nc, 0)
		return nil, err
	}
	c.remote = address(e.Redacted())
	return c, nil
}

// A conn is a message connection to whoever serves a subject.
type conn struct {
	nc      *nats.Conn
	subject string
	remote  address
	inbox   string // with a dot at its end
	replies chan *nats.Msg
	sub     *nats.Subscription
	last    atomic.Uint64 // the number of the last request

	closing sync.Once
	closed  chan struct{}
	err     error // of Close
}

// replyRoom is how many replies may wait: those to retries of one request.
const replyRoom = 64

func newConn(nc *nats.Conn, subject string) (*conn, error) {
	c := &conn{
		nc: nc, subject: subject, remote: address(subject), inbox: nc.NewInbox() + ".",
		replies: make(chan *nats.Msg, replyRoom), closed: make(chan struct{}),
	}
	var err error
	c.sub, err = nc.ChanSubscribe(c.inbox+"*", c.replies)
	return c, fail("dial", subject, err)
}

// WriteMessage sends a request.
func (c *conn) WriteMessage(ctx context.Context, request []byte) error {
	if err := ctx.Err(); err != nil {
		return fail("write", c.subject, err)
	}
	m := &nats.Msg{Subject: c.subject, Data: request}
	if deadline, ok := ctx.Deadline(); ok {
		addHeader(m, headerTimeout, strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10))
	}
	if err := tooLong(c.nc, m); err != nil {
		return fail("write", c.subject, err)
	}
	m.Reply = c.inbox + strconv.FormatUint(c.last.Add(1), 10)
	return fail("write", c.subject, c.nc.PublishMsg(m))
}

// ReadMessage waits for the reply to the last request.
func (c *conn) ReadMessage(ctx context.Context, buf []byte) (int, error) {
	for {
		select {
		case m := <-c.replies:
			number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, c.inbox), 10, 64)
			if err != nil || number != c.last.Load() {
				continue
			}
			if err := remoteError(c.subject, m); err != nil {
				return 0, err
			}
			if len(m.Data) > len(buf) {
				return 0, fail("read", c.subject, io.ErrShortBuffer)
			}
			return copy(buf, m.Data), nil
		case <-ctx.Done():
			return 0, fail("read", c.subject, ctx.Err())
		case <-c.closed:
			return 0, fail("read", c.subject, net.ErrClosed)
		}
	}
}

// Close closes the connection to NATS.
func (c *conn) Close() error {
	c.closing.Do(func() {
		close(c.closed)
		_ = c.sub.Unsubscribe()
		c.err = Close(c.nc, time.Second)
	})
	return c.err
}

func (c *conn) LocalAddr() net.Addr  { return address(strings.TrimSuffix(c.inbox, ".")) }
func (c *conn) RemoteAddr() net.Addr { return c.remote }
