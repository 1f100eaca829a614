package tincan

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// tlsTransport opens TLS over tcp and unix.
type tlsTransport struct{}

func (tlsTransport) Dial(ctx context.Context, d *Dialer, e *Endpoint) (net.Conn, error) {
	config, err := clientTLS(d.TLS, e)
	if err != nil {
		return nil, err
	}
	under, _ := e.Under()
	raw, err := d.DialEndpoint(ctx, under)
	if err != nil {
		return nil, err
	}
	c := newTLSConn(raw, func(c net.Conn) *tls.Conn { return tls.Client(c, config) }, &d.Config, e)
	if err := c.Handshake(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (tlsTransport) Listen(ctx context.Context, lc *ListenConfig, e *Endpoint) (net.Listener, error) {
	config, err := serverTLS(lc.TLS, e)
	if err != nil {
		return nil, err
	}
	under, _ := e.Under()
	ln, err := lc.ListenEndpoint(ctx, under)
	if err != nil {
		return nil, err
	}
	addr := *ln.Addr().(*Endpoint)
	addr.Scheme = e.Scheme
	return &tlsListener{ln, config, &lc.Config, e, &addr}, nil
}

type tlsListener struct {
	*Listener
	tls    *tls.Config
	config *Config
	e      *Endpoint
	addr   *Endpoint
}

func (l *tlsListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newTLSConn(raw, func(c net.Conn) *tls.Conn { return tls.Server(c, l.tls) }, l.config, l.e), nil
}

func (l *tlsListener) Addr() net.Addr { return l.addr }

// baseTLS is the configuration that both sides build on.
func baseTLS(base *tls.Config, e *Endpoint) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if base != nil {
		config = base.Clone()
	}
	switch e.Options.MinVersion {
	case "1.2":
		config.MinVersion = tls.VersionTLS12
	case "1.3":
		config.MinVersion = tls.VersionTLS13
	}
	if e.Options.Cert != "" {
		key := e.Options.Key
		if key == "" {
			key = e.Options.Cert // one file may hold both
		}
		cert, err := tls.LoadX509KeyPair(e.Options.Cert, key)
		if err != nil {
			return nil, optionError(e, "cert and key", err)
		}
		config.Certificates = []tls.Certificate{cert}
	} else if e.Options.Key != "" {
		return nil, optionError(e, "key", errors.New("there is no cert that it belongs to"))
	}
	return config, nil
}

func clientTLS(base *tls.Config, e *Endpoint) (*tls.Config, error) {
	config, err := baseTLS(base, e)
	if err != nil {
		return nil, err
	}
	if e.Options.CA != "" {
		if config.RootCAs, err = certPool(e.Options.CA); err != nil {
			return nil, optionError(e, "ca", err)
		}
	}
	switch {
	case e.Options.ServerName != "":
		config.ServerName = e.Options.ServerName
	case config.ServerName != "":
	case e.Host != "" && e.Host != "*":
		config.ServerName = e.Host
	default: // loopback, or a Unix path: a certificate for this host
		config.ServerName = "localhost"
	}
	return config, nil
}

func serverTLS(base *tls.Config, e *Endpoint) (*tls.Config, error) {
	config, err := baseTLS(base, e)
	if err != nil {
		return nil, err
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return nil, &EndpointError{
			Input: e.String(), Problem: "a TLS listener needs a certificate",
			Remedy: "add ?cert=FILE&key=FILE; \"tincan cert DIR localhost\" makes them for trying things out",
		}
	}
	if e.Options.ClientCA != "" {
		if config.ClientCAs, err = certPool(e.Options.ClientCA); err != nil {
			return nil, optionError(e, "client-ca", err)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

func optionError(e *Endpoint, option string, err error) error {
	return &EndpointError{Input: e.String(), Problem: fmt.Sprintf("option %s: %v", option, err)}
}

func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// tlsConn is a [tls.Conn] that tells a connection cut short from one ended in
// order, bounds its handshake, and can wait for data.
type tlsConn struct {
	*tls.Conn
	raw     *eofConn
	timeout time.Duration
	trace   *Trace

	once sync.Once // runs the handshake
	done atomic.Bool
	err  error // the handshake's, once done is set

	ahead   [1]byte // what WaitReadable had to read, if isAhead
	isAhead bool
}

func newTLSConn(raw net.Conn, layer func(net.Conn) *tls.Conn, config *Config, e *Endpoint) *tlsConn {
	c := &tlsConn{raw: &eofConn{Conn: raw}, timeout: e.Options.HandshakeTimeout, trace: config.trace()}
	if c.timeout == 0 {
		c.timeout = DefaultHandshakeTimeout
	}
	c.Conn = layer(c.raw)
	return c
}

// Handshake runs the handshake once and closes the connection if it fails.
func (c *tlsConn) Handshake(ctx context.Context) error {
	if c.done.Load() {
		return c.err
	}
	c.once.Do(func() {
		start := time.Now()
		if c.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.timeout)
			defer cancel()
		}
		if err := c.HandshakeContext(ctx); err != nil {
			c.err = &HandshakeError{Layer: "tls", Err: err}
			lingerClose(c.raw.Conn)
		}
		if f := c.trace.Handshaken; f != nil {
			f(c, "tls", time.Since(start), c.err)
		}
		c.done.Store(true)
	})
	return c.err
}

// lingerClose closes c so that the alert just sent arrives: a close with
// unread data would reset the connection and the alert be lost with it.
func lingerClose(c net.Conn) {
	if CloseWrite(c) == nil {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, c, 64<<10)
	}
	_ = c.Close()
}

func (c *tlsConn) Read(p []byte) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, opError("read", c, err)
	}
	if c.isAhead && len(p) > 0 {
		c.isAhead = false
		p[0] = c.ahead[0]
		return 1, nil
	}
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.raw.ended.Load() {
		// The stream below ended without close_notify: someone may have cut it (RFC 8446, 6.1).
		err = opError("read", c, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (c *tlsConn) Write(p []byte) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, opError("write", c, err)
	}
	return c.Conn.Write(p)
}

// CloseWrite sends close_notify.
func (c *tlsConn) CloseWrite() error {
	if err := c.Handshake(context.Background()); err != nil {
		return err
	}
	return c.Conn.CloseWrite()
}

// WaitReadable reads a byte ahead, as the records below tell nothing of the
// data in them. It must not be called while a Read is under way.
func (c *tlsConn) WaitReadable(ctx context.Context) error {
	if c.isAhead {
		return nil
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = c.SetReadDeadline(longAgo)
	})
	n, _ := c.Read(c.ahead[:]) // an error comes again with the next Read
	if !stop() {
		<-cut
		_ = c.SetReadDeadline(time.Time{})
	}
	if n == 1 {
		c.isAhead = true
		return nil
	}
	if ctx.Err() != nil {
		return opError("read", c, context.Cause(ctx))
	}
	return nil
}

// NetConn gives the connection that TLS runs on.
func (c *tlsConn) NetConn() net.Conn { return c.raw.Conn }

// eofConn notes that the stream ended.
type eofConn struct {
	net.Conn
	ended atomic.Bool
}

func (c *eofConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		c.ended.Store(true)
	}
	return n, err
}
