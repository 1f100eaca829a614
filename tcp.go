package tincan

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// tcpTransport opens tcp, tcp4 and tcp6.
type tcpTransport struct{}

func (tcpTransport) Dial(ctx context.Context, d *Dialer, e *Endpoint) (net.Conn, error) {
	nd := net.Dialer{
		KeepAlive: e.Options.KeepAlive, // zero and negative mean the same there
		Control:   func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, &e.Options) },
	}
	if e.Options.Local != "" {
		local, err := net.ResolveTCPAddr(e.Scheme, e.Options.Local)
		if err != nil {
			return nil, localError(e, err)
		}
		nd.LocalAddr = local
	}
	c, err := dialHosts(d.trace().dialContext(ctx), e, nd.DialContext)
	if err != nil {
		return nil, err
	}
	if e.Options.NoDelay == Off {
		err = c.(*net.TCPConn).SetNoDelay(false)
	}
	return c, err
}

// dialHosts dials e's host, or where it names none each loopback address in turn.
func dialHosts(ctx context.Context, e *Endpoint, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (net.Conn, error) {
	var firstErr error
	for _, host := range e.hosts() {
		c, err := dial(ctx, e.Scheme, net.JoinHostPort(host, e.Port))
		if err == nil {
			return c, nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, firstErr
}

// localError is what is wrong with the option that names the local address.
func localError(e *Endpoint, err error) error {
	return &EndpointError{Input: e.String(), Problem: "option local: " + err.Error(), Remedy: "it looks like local=192.0.2.1:0"}
}

// hosts gives e's host, or the loopback addresses of e's family where the host
// is empty or, when dialling, every interface.
func (e *Endpoint) hosts() []string {
	if e.Host != "" && e.Host != "*" {
		return []string{e.Host}
	}
	switch e.Scheme[len(e.Scheme)-1] {
	case '4':
		return []string{"127.0.0.1"}
	case '6':
		return []string{"::1"}
	}
	return []string{"127.0.0.1", "::1"}
}

func (tcpTransport) Listen(ctx context.Context, lc *ListenConfig, e *Endpoint) (net.Listener, error) {
	nlc := net.ListenConfig{
		KeepAlive: e.Options.KeepAlive,
		Control: func(_, _ string, c syscall.RawConn) error {
			return errors.Join(setSocketOptions(c, &e.Options), setReusePort(c, &e.Options), setKeepAlive(c, e.Options.KeepAlive))
		},
	}
	nlc.SetMultipathTCP(false) // nothing here asks for it, and it costs each accept
	if keepAliveInherited {
		nlc.KeepAlive = -1 // four system calls less for each connection accepted
	}
	return bindLoopbacks(e, func(host, port string) (net.Listener, string, error) {
		ln, err := nlc.Listen(ctx, e.Scheme, net.JoinHostPort(host, port))
		if err != nil {
			return nil, "", err
		}
		if err := setBacklog(ln.(*net.TCPListener), e.Options.Backlog); err != nil {
			return nil, "", errors.Join(err, ln.Close())
		}
		bound := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
		if e.Options.NoDelay == Off {
			return delayingListener{ln.(*net.TCPListener)}, bound, nil
		}
		return ln, bound, nil
	}, joinListeners)
}

// bindLoopbacks binds what e's host stands for: one address, every interface,
// or both loopback addresses on one port, one of them being enough on a host that
// lacks the other family.
func bindLoopbacks[L interface{ Close() error }, R any](e *Endpoint, bind func(host, port string) (L, string, error), join func(addr *Endpoint, bound ...L) R) (R, error) {
	var none R
	addr := *e
	addr.Options = Options{}
	switch e.Host {
	default:
		l, port, err := bind(e.Host, e.Port)
		if err != nil {
			return none, err
		}
		addr.Port = port
		return join(&addr, l), nil
	case "*":
		l, port, err := bind("", e.Port)
		if err != nil {
			return none, err
		}
		addr.Port = port
		return join(&addr, l), nil
	case "":
	}
	// A free port of one family may be busy in the other: then try another.
	const tries = 16
	for try := 1; ; try++ {
		var (
			bound []L
			host  string
			err   error
			busy  bool
		)
		port := e.Port
		for _, h := range e.hosts() {
			l, got, bindErr := bind(h, port)
			if bindErr != nil {
				err = errors.Join(err, bindErr)
				busy = busy || !familyMissing(bindErr)
				continue
			}
			bound = append(bound, l)
			host, port = h, got
		}
		if len(bound) > 0 && !busy {
			addr.Host, addr.Port = host, port
			if len(bound) > 1 {
				addr.Host = "localhost"
			}
			return join(&addr, bound...), nil
		}
		for _, l := range bound {
			_ = l.Close()
		}
		if e.Port != "0" || try == tries || len(bound) == 0 {
			return none, err
		}
	}
}

// delayingListener leaves Nagle's algorithm on, which the standard library turns off.
type delayingListener struct{ *net.TCPListener }

func (l delayingListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, c.SetNoDelay(false)
}

// dialContext makes the standard library's dialer report to t.
func (t *Trace) dialContext(ctx context.Context) context.Context {
	if t.Resolved == nil && t.Connecting == nil && t.Connected == nil {
		return ctx
	}
	var (
		host     string
		started  time.Time
		attempts sync.Map // address to time.Time: several are tried at once
	)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) { host, started = i.Host, time.Now() },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if t.Resolved == nil {
				return
			}
			addrs := make([]string, len(i.Addrs))
			for n, a := range i.Addrs {
				addrs[n] = a.String()
			}
			t.Resolved(host, addrs, time.Since(started), i.Err)
		},
		ConnectStart: func(network, addr string) {
			attempts.Store(addr, time.Now())
			if t.Connecting != nil {
				t.Connecting(network, addr)
			}
		},
		ConnectDone: func(network, addr string, err error) {
			if start, ok := attempts.Load(addr); ok && t.Connected != nil {
				t.Connected(network, addr, time.Since(start.(time.Time)), err)
			}
		},
	})
}
