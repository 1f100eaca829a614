package relay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tincan-ipc/tincan"
)

// proxyPatience bounds how long a proxy may take to answer where ctx does not:
// as long as the system's own connecting may take.
const proxyPatience = 2 * time.Minute

// A Proxy is a SOCKS5 (RFC 1928, RFC 1929) or HTTP CONNECT (RFC 9110 §9.3.6)
// proxy, through which tcp endpoints are dialled, and what runs on tcp: tls, ws
// and wss. It is a [tincan.Transport] and may be used by several goroutines at once.
type Proxy struct {
	endpoint       tincan.Endpoint
	user, password string
	hasUser        bool
	handshake      func(p *Proxy, c net.Conn, host string, port int) error
	layer          string // "socks5" or "http"
	lower          lower
}

const proxyExample = "a proxy looks like socks5://host:port or http://user:password@host:port"

// ParseProxy reads the URL of a proxy: socks5://[user:password@]host:port or
// http://[user:password@]host:port; socks5h is read as socks5. Every error is a
// [*tincan.EndpointError], which tells no password.
func ParseProxy(proxy string) (*Proxy, error) {
	p, problem := parseProxy(proxy)
	if problem != "" {
		return nil, &tincan.EndpointError{Input: withoutUser(proxy), Problem: problem, Remedy: proxyExample}
	}
	return p, nil
}

func parseProxy(proxy string) (p *Proxy, problem string) {
	u, err := url.Parse(proxy)
	if err != nil {
		return nil, "is no URL of a proxy" // err may have the password in it
	}
	p = &Proxy{}
	switch u.Scheme {
	case "socks5", "socks5h":
		p.layer, p.handshake = "socks5", (*Proxy).socks5
	case "http":
		p.layer, p.handshake = "http", (*Proxy).httpConnect
	case "":
		return nil, "has no scheme"
	default:
		return nil, fmt.Sprintf("scheme %q is neither socks5 nor http", u.Scheme)
	}
	switch {
	case u.Hostname() == "" || u.Port() == "":
		return nil, "lacks a host or a port"
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return nil, "more follows than host and port"
	}
	e, err := tincan.ParseEndpoint("tcp://" + net.JoinHostPort(strings.ReplaceAll(u.Hostname(), "%", "%25"), u.Port()))
	if err != nil {
		var wrong *tincan.EndpointError
		errors.As(err, &wrong)
		return nil, wrong.Problem
	}
	p.endpoint = *e
	if u.User != nil {
		p.hasUser, p.user = true, u.User.Username()
		p.password, _ = u.User.Password()
	}
	if p.layer == "socks5" && p.hasUser && (!fitsSocks5(p.user) || !fitsSocks5(p.password)) {
		return nil, "user and password must have 1 to 255 bytes each"
	}
	if p.layer == "http" && strings.Contains(p.user, ":") {
		return nil, "a user name can't have a colon in it"
	}
	return p, ""
}

// withoutUser takes what may be secret out of a URL, however wrong that is.
func withoutUser(proxy string) string {
	at := strings.LastIndexByte(proxy, '@')
	if at < 0 {
		return proxy
	}
	scheme, _, found := strings.Cut(proxy[:at], "://")
	if !found {
		return proxy[at+1:]
	}
	return scheme + "://" + proxy[at+1:]
}

// String gives the URL without user and password.
func (p *Proxy) String() string {
	return p.layer + "://" + net.JoinHostPort(p.endpoint.Host, p.endpoint.Port)
}

// AddTo makes c dial tcp, tcp4 and tcp6, and what runs on them, through p.
// What c opened these with before is how p itself is reached.
func (p *Proxy) AddTo(c *tincan.Config) {
	own := *p
	own.lower = addTo(c, &own, "tcp", "tcp4", "tcp6")
}

// Dial connects to p and has it connect to e, whose name p looks up; an empty host of e is
// the proxy's own loopback. e's options hold for the connection to p. It gives the bare
// [*net.TCPConn], from which nothing was read but the proxy's answer. ctx bounds it all.
//
// Errors are [*net.OpError] with Op "dial". What the proxy answered is a [*ProxyError] in it.
func (p *Proxy) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	host, port, err := target(ctx, e)
	if err != nil {
		return nil, err
	}
	at := *e
	at.Scheme, at.Host, at.Port = "tcp", p.endpoint.Host, p.endpoint.Port
	c, err := p.lower.dial(ctx, d, &at)
	if err != nil {
		return nil, p.fail(e, &ProxyError{Proxy: p.String(), Err: err})
	}
	start := time.Now()
	err = bounded(ctx, c, func() error { return p.handshake(p, c, host, port) })
	if d.Trace != nil && d.Trace.Handshaken != nil {
		d.Trace.Handshaken(c, p.layer, time.Since(start), err)
	}
	if err != nil {
		_ = c.Close()
		return nil, p.fail(e, err)
	}
	return c, nil
}

// Listen listens as without p.
func (p *Proxy) Listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return p.lower.listen(ctx, lc, e)
}

func (p *Proxy) fail(e *tincan.Endpoint, err error) error {
	var answer *ProxyError
	if !errors.As(err, &answer) {
		err = &ProxyError{Proxy: p.String(), Err: err}
	}
	return tincan.OpError("dial", e, err)
}

// target gives e as it is told to a proxy.
func target(ctx context.Context, e *tincan.Endpoint) (host string, port int, err error) {
	host = e.Host
	switch {
	case host == "" || host == "*":
		host = map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"}[e.Scheme]
		if host == "" {
			host = "localhost"
		}
	case strings.Contains(host, "%"):
		return "", 0, &tincan.EndpointError{
			Input: e.String(), Problem: "an address with a zone means nothing to a proxy",
			Remedy: "leave the proxy out, or use another address",
		}
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "", 0, &tincan.EndpointError{Input: e.String(), Problem: "the host's name has a blank in it"}
	case len(host) > 255:
		return "", 0, &tincan.EndpointError{Input: e.String(), Problem: "the host's name has more than 255 bytes"}
	}
	port, err = net.DefaultResolver.LookupPort(ctx, "tcp", e.Port)
	return host, port, err
}

// bounded runs f, which talks over c, until ctx ends or proxyPatience is over.
func bounded(ctx context.Context, c net.Conn, f func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, proxyPatience, fmt.Errorf("no answer in %v: %w", proxyPatience, os.ErrDeadlineExceeded))
	defer cancel()
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = c.SetDeadline(time.Unix(1, 0)) // long past
	})
	err := f()
	if !stop() {
		<-cut
		return context.Cause(ctx) // c can't be used any more, whatever f found
	}
	return err
}

// A ProxyError is a proxy that could not be reached, or that did not connect.
type ProxyError struct {
	// Proxy is its URL, without user and password.
	Proxy string
	// Status is the reply code of SOCKS5 (RFC 1928 §6) or the HTTP status, 0 where it gave none.
	Status int
	// Reason is what the proxy said, or what was wrong with it.
	Reason string
	// Err is the cause, by which [errors.Is] and [tincan.KindOf] tell the kind: [fs.ErrPermission] where the proxy
	// refuses, [os.ErrDeadlineExceeded] where it waited in vain. It may be nil.
	Err error
}

func (e *ProxyError) Error() string {
	text := "proxy " + e.Proxy
	if e.Reason != "" {
		text += ": " + e.Reason
		if e.Status != 0 {
			text += " (" + strconv.Itoa(e.Status) + ")"
		}
		return text
	}
	return text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// Timeout reports whether something was waited for in vain.
func (e *ProxyError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// refused is the cause of an error where the proxy turns this side away.
var refused = fs.ErrPermission

// lower is what a transport that is put before others is put before.
type lower map[string]tincan.Transport

// addTo puts t before what c opens schemes with, and gives that.
func addTo(c *tincan.Config, t tincan.Transport, schemes ...string) lower {
	before := c.Transports
	c.Transports = maps.Clone(before) // it may be shared
	if c.Transports == nil {
		c.Transports = map[string]tincan.Transport{}
	}
	for _, scheme := range schemes {
		c.Transports[scheme] = t
	}
	return before
}

func (l lower) dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	below := *d
	below.Transports = l
	below.Options = tincan.Options{} // e has them
	return below.DialEndpoint(ctx, e)
}

// listen leaves it to the listener above, which is made of the one it gives, to keep e's rules and to tell of itself.
func (l lower) listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (*tincan.Listener, error) {
	below := *lc
	below.Transports = l
	below.Options = tincan.Options{}
	if lc.Trace != nil {
		below.Trace = &tincan.Trace{Pausing: lc.Trace.Pausing}
	}
	bare := *e
	bare.Options.Allow, bare.Options.AllowUID, bare.Options.AllowGID = nil, nil, nil
	bare.Options.MaxConns, bare.Options.MaxConnsPerSource = 0, 0
	return below.ListenEndpoint(ctx, &bare)
}
