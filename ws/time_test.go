package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
)

// pipes stands in for tcp inside a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  *tincan.Endpoint
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Dial(context.Context, *tincan.Dialer, *tincan.Endpoint) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

func (p *pipes) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	p.addr = e
	return p, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return p.addr }

// bubble runs test with a dialer and a listener whose tcp is in process.
func bubble(t *testing.T, query string, test func(t *testing.T, p *pipes, d *tincan.Dialer, l *tincan.Listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		d, lc := dialer(), listenConfig()
		d.Transports["tcp"], lc.Transports["tcp"] = p, p
		l, err := lc.Listen(t.Context(), "ws://localhost:80"+query)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		test(t, p, d, l)
	})
}

func TestHandshakeTimeoutOfServer(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"": tincan.DefaultHandshakeTimeout, "?handshake-timeout=3s": 3 * time.Second, "?handshake-timeout=off": time.Hour,
	} {
		t.Run(query, func(t *testing.T) {
			bubble(t, query, func(t *testing.T, p *pipes, _ *tincan.Dialer, l *tincan.Listener) {
				silent, far := net.Pipe()
				defer silent.Close()
				go func() { p.conns <- far }()
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				start := time.Now()
				_ = c.SetReadDeadline(start.Add(time.Hour)) // past every handshake timeout
				_, err = c.Read(make([]byte, 1))
				if tincan.KindOf(err) != tincan.KindTimeout || time.Since(start) != want {
					t.Errorf("Read: %v after %v, want %v", err, time.Since(start), want)
				}
			})
		})
	}
}

func TestHandshakeTimeoutOfClient(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *pipes, d *tincan.Dialer, l *tincan.Listener) {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			if c, err := l.Accept(); err == nil { // and does nothing with it
				time.Sleep(time.Minute)
				_ = c.Close()
			}
		})
		start := time.Now()
		_, err := d.Dial(t.Context(), "ws://localhost:80?handshake-timeout=3s")
		var handshake *tincan.HandshakeError
		if !errors.As(err, &handshake) || tincan.KindOf(err) != tincan.KindTimeout || time.Since(start) != 3*time.Second {
			t.Errorf("Dial: %v after %v", err, time.Since(start))
		}
	})
}

func TestDeadlinesAreExactAndMovable(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *pipes, d *tincan.Dialer, l *tincan.Listener) {
		server := make(chan net.Conn)
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = tincan.Handshake(context.Background(), c)
			}
			if err != nil {
				t.Error(err)
			}
			server <- c
		}()
		client, err := d.Dial(t.Context(), "ws://localhost:80")
		if err != nil {
			t.Fatal(err)
		}
		far := <-server
		start := time.Now()
		_ = client.SetReadDeadline(start.Add(time.Minute))
		go func() { // while the read waits
			time.Sleep(time.Second)
			_ = client.SetReadDeadline(start.Add(5 * time.Second))
		}()
		if _, err := client.Read(make([]byte, 1)); tincan.KindOf(err) != tincan.KindTimeout || time.Since(start) != 5*time.Second {
			t.Errorf("Read: %v after %v", err, time.Since(start))
		}
		_ = client.SetReadDeadline(time.Time{})
		go func() { _, _ = far.Write([]byte("x")) }()
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Errorf("Read after the deadline was moved: %v", err)
		}
		go func() { _, _ = io.ReadAll(far); _ = far.Close() }()
		start = time.Now()
		if err := client.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
	})
}

func TestCloseWaitsASecondAtMost(t *testing.T) {
	bubble(t, "", func(t *testing.T, p *pipes, d *tincan.Dialer, _ *tincan.Listener) {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			raw := &rawPeer{Conn: <-p.conns, t: t}
			defer raw.Close()
			buf := make([]byte, 4096)
			_, _ = raw.Read(buf)
			_, _ = io.WriteString(raw, upgradeAnswer(string(buf)))
			time.Sleep(time.Minute) // and reads nothing
		})
		c, err := d.Dial(t.Context(), "ws://localhost:80")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = c.Close()
		if took := time.Since(start); took != time.Second || tincan.KindOf(err) != tincan.KindTimeout {
			t.Errorf("Close: %v after %v", err, took)
		}
	})
}
