package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/local"
	"github.com/tincan-ipc/tincan/relay"
)

// A localTarget joins clients with a local end: each with one of its own, but
// where there is only one.
type localTarget struct {
	r    *relaying
	side *relaySide
	only tincan.Conn // what there is only one of
}

func newLocalTarget(r *relaying, side *relaySide) (*localTarget, error) {
	t := &localTarget{r: r, side: side}
	if !side.sole() {
		return t, nil
	}
	if side.end.Scheme == "stdio" {
		t.only = side.end.Stdio(r.stdin, r.stdout)
		return t, nil
	}
	s, err := side.end.OpenFD()
	switch {
	case err != nil:
	case s.Conn != nil:
		t.only = s.Conn
	case s.MessageConn != nil:
		t.only = s.MessageConn
	default: // it goes with the command
		err = errors.New("it is a socket that listens, which can only be FROM")
	}
	if err != nil {
		return nil, &localError{doing: "open " + side.word, err: err}
	}
	return t, nil
}

// Stream joins client with the local end.
func (t *localTarget) Stream(ctx context.Context, client net.Conn) error {
	return t.join(ctx, client, func(end tincan.Conn, o *relay.Options) (relay.Result, error) {
		return relay.Streams(ctx, client, end.(net.Conn), o)
	})
}

// Message is Stream for messages, which an end that is a byte stream carries framed.
func (t *localTarget) Message(ctx context.Context, client tincan.MessageConn) error {
	return t.join(ctx, client, func(end tincan.Conn, o *relay.Options) (relay.Result, error) {
		messages, ok := end.(tincan.MessageConn)
		if !ok {
			messages = newFramedConn(end.(net.Conn), t.r.plan.framing)
		}
		return relay.Messages(ctx, client, messages, t.r.plan.largestMessage(), o)
	})
}

func (t *localTarget) join(ctx context.Context, client tincan.Conn, relayTo func(tincan.Conn, *relay.Options) (relay.Result, error)) error {
	l := t.r.linkOf(client)
	l.target = t.side.word
	o := t.r.options
	if t.side.program != nil {
		child, err := t.r.start(l)
		if err != nil {
			abort(client)
			return &localError{doing: "run " + t.side.word, err: err, side: "to"}
		}
		t.r.prepare(client, child, &o)
		stop := child.watch(ctx, client, &o)
		l.result, err = relayTo(child, &o)
		stop()
		return child.await(ctx, err)
	}
	end, err := t.open(ctx)
	if err != nil {
		abort(client)
		return openError(ctx, t.side, err)
	}
	t.r.prepare(client, end, &o)
	own, ok := end.(*local.Conn)
	if ok {
		end = &localSide{Conn: own, word: t.side.word, side: "to", failed: l.cut}
	}
	l.result, err = relayTo(end, &o)
	if ok && err == nil && own.WriteFault() != nil {
		return &localError{doing: "write " + t.side.word, err: bare(own.WriteFault()), side: "to"}
	}
	return err
}

func (t *localTarget) open(ctx context.Context) (tincan.Conn, error) {
	if t.only != nil {
		return t.only, nil
	}
	if from := t.r.plan.from.end; from != nil && from.Same(t.side.end) {
		return nil, errors.New("it is the file that is read")
	}
	return t.side.end.OpenFile(ctx, local.To)
}

// abort closes c so that it doesn't look like an orderly end.
func abort(c tincan.Conn) {
	if tincan.Abort(c) != nil {
		_ = c.Close()
	}
}

// A localSide ends its link when nothing can be written to it any more: there
// is nobody who could still send something else, as a peer might.
type localSide struct {
	*local.Conn
	word, side string
	failed     func(error)
}

// Unwrap shows the capability functions the connection inside.
func (s *localSide) Unwrap() tincan.Conn { return s.Conn }

func (s *localSide) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.failed(&localError{doing: "write " + s.word, err: bare(err), side: s.side})
	}
	return n, err
}

// ownError gives the error of a local end that is no connection, nil for others.
func ownError(s *relaySide, side string, end *relay.EndError) error {
	var opErr *net.OpError
	if s.end == nil || !errors.As(end.Err, &opErr) || opErr.Net != s.end.Scheme {
		return nil
	}
	doing := "write "
	if end.Reading {
		doing = "read "
	}
	return &localError{doing: doing + s.word, err: bare(end.Err), side: side}
}

// bare gives the cause in a [*net.OpError], where the rest is said already.
func bare(err error) error {
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		return opErr.Err
	}
	return err
}

// programs are the running ones.
type programs struct {
	mu      sync.Mutex // guards what follows; held while one is started, so that none escapes
	running map[*child]struct{}
	killed  bool // none is started any more
}

// signal passes on the signal that is the cause of an end.
func (p *programs) signal(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.running {
		c.Signal(signalOf(cause))
	}
}

// kill ends all at once, with what they have started, and is the last that happens.
func (p *programs) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	for c := range p.running {
		c.Kill()
	}
}

// signalOf gives the signal that ended the relay, SIGTERM where something else did.
func signalOf(cause error) os.Signal {
	if by := (interruptError{}); errors.As(cause, &by) {
		return by.sig
	}
	return syscall.SIGTERM
}

// A child is the program of one client.
type child struct {
	*local.Child
	r        *relaying
	link     *link
	outEnded chan struct{} // closed when its output has ended
}

// start runs the program for l's client.
func (r *relaying) start(l *link) (*child, error) {
	p := &local.Program{Argv: r.plan.to[0].program, Env: l.environment(), PTY: r.flags.pty}
	if r.passesTerminal() {
		p.Like = r.stdin
	}
	r.programs.mu.Lock()
	defer r.programs.mu.Unlock()
	if r.programs.killed {
		return nil, context.Cause(r.stopping)
	}
	started, err := p.Start()
	if err != nil {
		return nil, err
	}
	c := &child{Child: started, r: r, link: l, outEnded: make(chan struct{})}
	if r.programs.running == nil {
		r.programs.running = map[*child]struct{}{}
	}
	r.programs.running[c] = struct{}{}
	if r.stopping.Err() != nil && l.single {
		c.Signal(signalOf(context.Cause(r.stopping))) // it came before the program was known
	}
	r.followSize(c.Child)
	return c, nil
}

// Unwrap shows the capability functions the connection inside.
func (c *child) Unwrap() tincan.Conn { return c.Conn }

// goneLinger is how long a client of a program that is gone may take to end by itself.
const goneLinger = time.Second

// watch ends the client's direction once the program has ended and nobody is
// left to read it: the client may not know that it is waited for. The function that it gives ends the watch.
func (c *child) watch(ctx context.Context, client tincan.Conn, o *relay.Options) (stop func()) {
	trace := *o.Trace
	halfClosed := trace.HalfClosed
	trace.HalfClosed = func(conn tincan.Conn, side tincan.Side) {
		if halfClosed != nil {
			halfClosed(conn, side)
		}
		if side == tincan.Remote && conn != client {
			close(c.outEnded)
		}
	}
	o.Trace = &trace
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for _, next := range []<-chan struct{}{c.outEnded, c.Done()} {
			select {
			case <-next:
			case <-over:
				return
			}
		}
		if !c.Deaf() {
			return
		}
		if !c.link.single {
			select {
			case <-time.After(goneLinger):
			case <-over:
				return
			}
		}
		if tincan.CloseRead(client) != nil && ctx.Err() == nil {
			c.link.cut(errProgramEnded)
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}

// Patience with a program that is to end: before it is told to, and before it is made to.
const (
	programHint = 100 * time.Millisecond
	programTerm = 2 * time.Second
)

// await waits for the program, whose pipes are closed, to end. After a failure or the end of ctx it sees to that.
func (c *child) await(ctx context.Context, err error) error {
	defer func() {
		c.r.programs.mu.Lock()
		defer c.r.programs.mu.Unlock()
		delete(c.r.programs.running, c)
	}()
	if err == nil {
		select {
		case <-c.Done():
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	term := func() { c.Signal(signalOf(context.Cause(c.r.stopping))) }
	if c.link.single && c.r.stopping.Err() != nil {
		term = c.Kill // it was told when the drain began
	}
	c.endAfter(programHint, term)
	c.endAfter(programTerm, c.Kill)
	<-c.Done()
	return c.verdict(ctx, err)
}

// endAfter sees to the end of a program that doesn't come by itself.
func (c *child) endAfter(wait time.Duration, end func()) {
	select {
	case <-c.Done():
	case <-time.After(wait):
		end()
	}
}

// verdict says how the relaying to a program ended: by its own status, unless something else failed first.
func (c *child) verdict(ctx context.Context, err error) error {
	var end *relay.EndError
	interrupted := errors.As(context.Cause(ctx), new(interruptError))
	if errors.As(err, &end) && end.First() || ctx.Err() != nil && !interrupted && !errors.Is(context.Cause(ctx), errProgramEnded) {
		return err
	}
	if status := c.Status(); status != 0 {
		return &programError{name: c.link.target, status: status}
	}
	if interrupted && !c.link.single {
		return err
	}
	return nil
}

// environment tells a program whom it serves.
func (l *link) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TINCAN_") { // of a relay that runs this one
			env = append(env, v)
		}
	}
	set := func(name, value string) { env = append(env, "TINCAN_"+name+"="+value) }
	set("FROM", l.r.plan.from.word)
	for _, side := range []struct {
		name string
		addr net.Addr
	}{{"LOCAL", l.client.LocalAddr()}, {"REMOTE", l.client.RemoteAddr()}} {
		host, port, err := net.SplitHostPort(addressOf(side.addr))
		if err == nil {
			set(side.name, side.addr.String())
			set(side.name+"_HOST", host)
			set(side.name+"_PORT", port)
		} else if path := addressOf(side.addr); path != "" && !l.single {
			set(side.name, path)
		}
	}
	if cred, err := tincan.PeerCred(l.client); err == nil && !l.single {
		set("UID", strconv.FormatUint(uint64(cred.UID), 10))
		set("GID", strconv.FormatUint(uint64(cred.GID), 10))
		if cred.PID > 0 {
			set("PID", strconv.Itoa(cred.PID))
		}
	}
	return env
}

func addressOf(a net.Addr) string {
	if a == nil || a.String() == "@" {
		return ""
	}
	return a.String()
}
