package tincan

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// guard decides who may connect, by the rules of one listening endpoint.
type guard struct {
	allow             []netip.Prefix
	uids, gids        []uint32
	maxAll, maxSource int

	mu     sync.Mutex // guards what follows
	all    int
	source map[string]int // connections by source; a source with none has no entry
}

func newGuard(o *Options) *guard {
	return &guard{
		allow: o.Allow, uids: o.AllowUID, gids: o.AllowGID,
		maxAll: o.MaxConns, maxSource: o.MaxConnsPerSource,
		source: map[string]int{},
	}
}

// admit gives c as it is where no count has to be kept, or wrapped so that
// closing it ends its count. The error is [ErrNotAllowed] or [ErrTooManyConns].
func (g *guard) admit(c net.Conn) (net.Conn, error) {
	if !g.allowsAddr(c.RemoteAddr()) {
		return nil, ErrNotAllowed
	}
	if len(g.uids) > 0 || len(g.gids) > 0 {
		cred, err := PeerCred(c)
		if err != nil {
			return nil, fmt.Errorf("%w: no credentials: %w", ErrNotAllowed, err)
		}
		if !slices.Contains(g.uids, cred.UID) && !slices.Contains(g.gids, cred.GID) {
			return nil, fmt.Errorf("%w: uid %d, gid %d", ErrNotAllowed, cred.UID, cred.GID)
		}
	}
	if g.maxAll == 0 && g.maxSource == 0 {
		return c, nil
	}
	source := sourceOf(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.maxAll > 0 && g.all >= g.maxAll {
		return nil, fmt.Errorf("%w: %d in all", ErrTooManyConns, g.all)
	}
	if g.maxSource > 0 && g.source[source] >= g.maxSource {
		return nil, fmt.Errorf("%w: %d of %s", ErrTooManyConns, g.source[source], source)
	}
	g.all++
	g.source[source]++
	return &countedConn{Conn: c, release: func() { g.release(source) }}, nil
}

func (g *guard) release(source string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.source[source]--; g.source[source] == 0 {
		delete(g.source, source)
	}
}

// allowsAddr applies the networks of the allow option.
func (g *guard) allowsAddr(a net.Addr) bool { return g.allowsIP(ipOf(a)) }

func (g *guard) allowsIP(ip netip.Addr) bool {
	if len(g.allow) == 0 {
		return true
	}
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// ipOf gives the address without port and zone, IPv4 always as such; the
// zero Addr, which no network contains, where a has none.
func ipOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// sourceOf names whom a connection is counted for: a host, or a user of this one.
func sourceOf(c net.Conn) string {
	if ip := ipOf(c.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	if cred, err := PeerCred(c); err == nil {
		return fmt.Sprintf("uid %d", cred.UID)
	}
	if e, ok := c.RemoteAddr().(*Endpoint); ok && e.Host != "" {
		return e.Host // of vsock: a machine, whatever its port
	}
	if host, _, err := net.SplitHostPort(c.RemoteAddr().String()); err == nil {
		return host
	}
	return c.RemoteAddr().String()
}

// countedConn ends its count in a guard when it is closed.
type countedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}

// Unwrap shows the capability functions the connection inside.
func (c *countedConn) Unwrap() Conn { return c.Conn }

// ReadFrom and WriteTo let io.Copy reach the socket, which may splice.
func (c *countedConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }
func (c *countedConn) WriteTo(w io.Writer) (int64, error)  { return io.Copy(w, c.Conn) }
