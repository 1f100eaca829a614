package cli

import (
	"context"
	"io"
	"sync"

	"github.com/tincan-ipc/tincan"
)

// runMessages is as run for messages.
func (l *listener) runMessages(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) error {
	next, err := messageInput(l.stdin, l.flags.frame, false)
	if err != nil {
		return err
	}
	ln, err := bind(l, func() (tincan.MessageListener, error) { return lc.ListenMessageEndpoint(l.stopping, e) })
	if err != nil {
		return ended(l.stopping, err)
	}
	defer ln.Close() // ends the flows of datagram peers too, so not before they have drained
	l.listening(ln.Addr())
	if l.flags.keepOpen {
		return l.serveManyMessages(ctx, e, ln, next)
	}
	return l.serveOneMessages(ctx, e, ln, next)
}

// serveOneMessages joins the standard streams with the first peer.
func (l *listener) serveOneMessages(ctx context.Context, e *tincan.Endpoint, ln tincan.MessageListener, next func() ([]byte, error)) error {
	waiting, giveUp := context.WithCancelCause(l.stopping)
	defer giveUp(nil)
	late := l.awaitFirst(func() {
		giveUp(&timeoutError{what: "no client came within", after: l.flags.connectTimeout})
	})
	conn, err := ln.Accept(waiting)
	late.Stop()
	if err != nil {
		if waiting.Err() != nil {
			return context.Cause(waiting)
		}
		return err
	}
	others, enough := context.WithCancel(ctx)
	var refusing sync.WaitGroup
	defer refusing.Wait()
	defer enough()
	refusing.Go(func() { l.refuseOthers(others, ln) })
	if err := tincan.Handshake(ctx, conn); err != nil {
		_ = conn.Close()
		return ended(ctx, err)
	}
	m := newMessages(l.program, &l.flags.sessionFlags, e, l.counted.message(conn), next, l.stdout)
	m.trace = l.counted.hooks(m.trace)
	m.drain, m.patient = l.stopping.Done(), true
	return m.run(ctx)
}

// refuseOthers turns away every peer after the first. The listener of
// datagrams can't be closed for that: the first one lives on its socket.
func (p *program) refuseOthers(ctx context.Context, ln tincan.MessageListener) {
	for told := false; ; told = true {
		conn, err := ln.Accept(ctx)
		if err != nil {
			return
		}
		if !told || p.report.json {
			p.report.hooks().Refused(ln.Addr(), conn.RemoteAddr(), errOneClient)
		}
		if tincan.Abort(conn) != nil {
			_ = conn.Close()
		}
	}
}

// serveManyMessages joins the standard streams with every peer.
func (l *listener) serveManyMessages(ctx context.Context, e *tincan.Endpoint, ln tincan.MessageListener, next func() ([]byte, error)) error {
	var clients sync.WaitGroup
	inputs, out := newFan(), &sharedWriter{w: l.stdout}
	go l.feed(ctx, inputs, func() ([]byte, error) {
		msg, err := next()
		return append([]byte{}, msg...), err // each client keeps it for as long as it needs
	})
	late := l.awaitFirst(func() { l.cancel(&timeoutError{what: "no client came within", after: l.flags.connectTimeout}) })
	defer late.Stop()
	for {
		conn, err := ln.Accept(l.stopping)
		if err != nil {
			clients.Wait()
			if l.stopping.Err() != nil {
				return context.Cause(l.stopping)
			}
			return err
		}
		late.Stop()
		clients.Go(func() { l.serveMessageClient(ctx, e, ln, conn, inputs, out) })
	}
}

func (l *listener) serveMessageClient(ctx context.Context, e *tincan.Endpoint, ln tincan.MessageListener, conn tincan.MessageConn, inputs *fan, out io.Writer) {
	if err := tincan.Handshake(ctx, conn); err != nil {
		l.counted.hooks(l.report.hooks()).Refused(ln.Addr(), conn.RemoteAddr(), err)
		_ = conn.Close()
		return
	}
	ctx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	box := inputs.join(drop)
	defer inputs.leave(box)
	m := newMessages(l.program, &l.flags.sessionFlags, e, l.counted.message(conn), box.next, out)
	m.trace = l.counted.hooks(m.trace)
	m.drain, m.patient = l.stopping.Done(), true
	l.clientEnded(conn, m.run(ctx))
}
