package tincan

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// WaitReadable waits until a read from c would not block: data, a datagram
// (the empty one too), the peer's end or an error is there. It consumes nothing;
// what is there is left to the next read, an error as well. Another reader of c may take it first.
//
// The wait ends with an error when ctx ends (ctx's error), when a read deadline
// of c passes ([os.ErrDeadlineExceeded]) or when c is closed ([net.ErrClosed]).
// It borrows c's read deadline to make ctx end it; where ctx did, none is set afterwards.
// Where the family can't wait so, the error is [errors.ErrUnsupported].
func WaitReadable(ctx context.Context, c Conn) error {
	// Whoever buffers knows best: a layer above the socket may hold data while the socket is dry.
	if own, ok := as[interface{ WaitReadable(context.Context) error }](c, false); ok {
		return opError("read", c, own.WaitReadable(ctx))
	}
	s, ok := as[interface {
		syscall.Conn
		SetReadDeadline(time.Time) error
	}](c, false)
	if !ok {
		return opError("read", c, errors.ErrUnsupported)
	}
	if ctx.Err() != nil {
		return opError("read", c, ctxError(ctx))
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return opError("read", c, err)
	}
	restore := func() {}
	if ctx.Done() != nil {
		cut := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(cut)
			_ = s.SetReadDeadline(longAgo)
		})
		restore = func() {
			if !stop() {
				<-cut
				_ = s.SetReadDeadline(time.Time{})
			}
		}
	}
	err = waitReadable(raw)
	restore()
	return opError("read", c, explain(ctx, err))
}
