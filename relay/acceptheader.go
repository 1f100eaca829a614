package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/tincan-ipc/tincan"
)

// AcceptHeader demands that each connection accepted over tcp or a Unix stream
// socket begins with a header of the PROXY protocol, version 1 or 2, below TLS
// and WebSocket. What it says are the connection's addresses from then on,
// unless it names none. It is a [tincan.Transport]; the zero value works.
//
// The header is read by [tincan.Handshake], or the first Read or Write, and never by
// Accept. A peer that sends none, or a wrong one, is reset, and the error is a [*tincan.HandshakeError] of the
// layer "proxy". As anybody can claim any address, let only proxies connect:
// an endpoint's rules (allow, max-conns-per-source) are for them, and see none of what they say.
type AcceptHeader struct {
	// Timeout bounds how long the header may take. Zero or negative means 5 s.
	Timeout time.Duration
	lower   lower
}

// AddTo makes what listens with c demand headers.
func (a AcceptHeader) AddTo(c *tincan.Config) {
	a.lower = addTo(c, &a, headerSchemes...)
}

// Dial dials as without a.
func (a *AcceptHeader) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	return a.lower.dial(ctx, d, e)
}

// Listen binds e.
func (a *AcceptHeader) Listen(ctx context.Context, lc *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	ln, err := a.lower.listen(ctx, lc, e)
	if err != nil {
		return nil, err
	}
	return a.Listener(ln, lc.Trace), nil
}

// Listener gives a listener whose connections are those of ln after their headers. t may be nil.
func (a *AcceptHeader) Listener(ln net.Listener, t *tincan.Trace) net.Listener {
	return &headerListener{ln, a, t}
}

// Conn gives c after its header, of which t is told; it may be nil.
func (a *AcceptHeader) Conn(c net.Conn, t *tincan.Trace) net.Conn {
	h := &headerConn{Conn: c, timeout: a.Timeout, trace: t}
	if h.timeout <= 0 {
		h.timeout = headerPatience
	}
	return h
}

// headerPatience is how long a peer may take to send its header.
const headerPatience = 5 * time.Second

type headerListener struct {
	net.Listener
	accept *AcceptHeader
	trace  *tincan.Trace
}

func (l *headerListener) Drain() error { return tincan.Drain(l.Listener) }

func (l *headerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.accept.Conn(c, l.trace), nil
}

// A headerConn is a connection that begins with a header. Nothing is read ahead, so that behind
// the header it is the connection inside.
type headerConn struct {
	net.Conn
	timeout time.Duration
	trace   *tincan.Trace

	once sync.Once // reads the header
	done atomic.Bool
	err  error // what was wrong with the header, once done is set

	addrs atomic.Pointer[headerAddrs]

	mu           sync.Mutex // guards the read deadlines: the header's, and the caller's
	limit, until time.Time
}

type headerAddrs struct{ source, destination net.Addr }

// Handshake reads the header once. ctx bounds it, beside the timeout.
func (c *headerConn) Handshake(ctx context.Context) error {
	if c.done.Load() {
		return c.err
	}
	c.once.Do(func() {
		start := time.Now()
		err := c.readHeader(ctx)
		if err != nil {
			c.err = &tincan.HandshakeError{Layer: "proxy", Err: err}
			if tincan.Abort(c.Conn) != nil {
				_ = c.Close()
			}
		}
		if c.trace != nil && c.trace.Handshaken != nil {
			c.trace.Handshaken(c, "proxy", time.Since(start), c.err)
		}
		c.done.Store(true)
	})
	return c.err
}

func (c *headerConn) readHeader(ctx context.Context) error {
	c.setLimit(time.Now().Add(c.timeout))
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		c.setLimit(time.Unix(1, 0)) // long past
	})
	header, err := readHeader(c.Conn)
	if !stop() {
		<-cut
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	c.setLimit(time.Time{})
	c.addrs.Store(header)
	return nil
}

// setLimit sets the header's read deadline.
func (c *headerConn) setLimit(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = t
	_ = c.Conn.SetReadDeadline(c.earlier()) // fails on a closed connection alone, as reading does
}

// earlier gives the deadline that counts. c.mu is held.
func (c *headerConn) earlier() time.Time {
	if c.until.IsZero() || !c.limit.IsZero() && c.limit.Before(c.until) {
		return c.limit
	}
	return c.until
}

func (c *headerConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetReadDeadline(c.earlier())
}

func (c *headerConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// RemoteAddr is the source that the header tells, and LocalAddr the destination. Before it came, or
// where it tells none, they are those of the connection itself. They never block.
func (c *headerConn) RemoteAddr() net.Addr {
	if a := c.addrs.Load(); a != nil && a.source != nil {
		return a.source
	}
	return c.Conn.RemoteAddr()
}

func (c *headerConn) LocalAddr() net.Addr {
	if a := c.addrs.Load(); a != nil && a.destination != nil {
		return a.destination
	}
	return c.Conn.LocalAddr()
}

func (c *headerConn) Read(p []byte) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, c.opError("read", err)
	}
	return c.Conn.Read(p)
}

func (c *headerConn) Write(p []byte) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, c.opError("write", err)
	}
	return c.Conn.Write(p)
}

// ReadFrom and WriteTo let io.Copy reach the socket, which may splice.

func (c *headerConn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, c.opError("write", err)
	}
	return io.Copy(c.Conn, r)
}

func (c *headerConn) WriteTo(w io.Writer) (int64, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, c.opError("read", err)
	}
	return io.Copy(w, c.Conn)
}

func (c *headerConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Unwrap shows the capability functions the connection inside.
func (c *headerConn) Unwrap() tincan.Conn { return c.Conn }

// SyscallConn gives the socket, whose Read and Write come behind the header too.
func (c *headerConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := tincan.SyscallConn(c.Conn)
	if err != nil || c.done.Load() {
		return raw, err
	}
	return &headerRawConn{raw, c}, nil
}

type headerRawConn struct {
	syscall.RawConn
	c *headerConn
}

func (r *headerRawConn) Read(f func(fd uintptr) bool) error {
	if err := r.c.Handshake(context.Background()); err != nil {
		return r.c.opError("read", err)
	}
	return r.RawConn.Read(f)
}

func (r *headerRawConn) Write(f func(fd uintptr) bool) error {
	if err := r.c.Handshake(context.Background()); err != nil {
		return r.c.opError("write", err)
	}
	return r.RawConn.Write(f)
}

const (
	shortestHeader = len("PROXY UNKNOWN\r\n")
	longestLine    = 107 // of version 1
	fixedHeader    = 16  // of version 2
	mostHeader     = fixedHeader + 4096
)

var errNoHeader = errors.New("no PROXY header")

// readHeader reads a header to its last byte, and never beyond.
func readHeader(r io.Reader) (*headerAddrs, error) {
	header := make([]byte, shortestHeader, longestLine)
	for n := 0; n < len(header); {
		m, err := r.Read(header[n:])
		n += m
		switch isV1, isV2 := begins(header[:n], proxyproto.SIGV1), begins(header[:n], proxyproto.SIGV2); {
		case !isV1 && !isV2:
			return nil, errNoHeader // the rest may never come
		case err != nil && n < len(header):
			return nil, fmt.Errorf("%w: %w", errNoHeader, cutShort(err))
		}
	}
	var err error
	if begins(header, proxyproto.SIGV1) {
		header, err = readLine(r, header)
	} else {
		header, err = readRest(r, header)
	}
	if err != nil {
		return nil, fmt.Errorf("the PROXY header: %w", cutShort(err))
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(header), len(header)))
	if err != nil {
		return nil, fmt.Errorf("the PROXY header: %w", err)
	}
	if h.Command.IsLocal() {
		return &headerAddrs{}, nil
	}
	return &headerAddrs{h.SourceAddr, h.DestinationAddr}, nil
}

// begins reports whether b begins with signature, as far as it goes.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// readLine reads the rest of a line of version 1. How long it is only its end tells.
func readLine(r io.Reader, line []byte) ([]byte, error) {
	for line[len(line)-1] != '\n' && len(line) < longestLine {
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return nil, err
		}
	}
	return line, nil
}

// readRest reads the rest of version 2.
func readRest(r io.Reader, header []byte) ([]byte, error) {
	at := len(header)
	header = header[:fixedHeader]
	if _, err := io.ReadFull(r, header[at:]); err != nil {
		return nil, err
	}
	whole := fixedHeader + int(binary.BigEndian.Uint16(header[fixedHeader-2:]))
	if whole > mostHeader {
		return nil, fmt.Errorf("it has %d bytes, of which %d are too many", whole, whole-mostHeader)
	}
	header = append(header, make([]byte, whole-fixedHeader)...)
	_, err := io.ReadFull(r, header[fixedHeader:])
	return header, err
}
