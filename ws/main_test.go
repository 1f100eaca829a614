package ws_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/ws"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func dialer() *tincan.Dialer {
	d := &tincan.Dialer{}
	ws.AddTo(&d.Config)
	return d
}

func listenConfig() *tincan.ListenConfig {
	lc := &tincan.ListenConfig{}
	ws.AddTo(&lc.Config)
	return lc
}

func listen(t *testing.T, endpoint string) *tincan.Listener {
	t.Helper()
	l, err := listenConfig().Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func listenMessage(t *testing.T, endpoint string) tincan.MessageListener {
	t.Helper()
	l, err := listenConfig().ListenMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// timeout bounds what a test waits for; it is reached only when something is wrong.
const timeout = time.Minute

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return c
}

// pair gives both ends of a stream; query is added to the dialled endpoint.
func pair(t *testing.T, endpoint, query string) (client, server net.Conn) {
	t.Helper()
	l := listen(t, endpoint)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = tincan.Handshake(context.Background(), c)
		}
		if err != nil {
			t.Errorf("accept: %v", err)
			close(accepted)
			return
		}
		accepted <- c
	}()
	client, err := dialer().Dial(ctx(t), l.Addr().String()+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server = <-accepted; server == nil {
		t.FailNow()
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

// messagePair is as pair, for messages.
func messagePair(t *testing.T, endpoint, query string) (client, server tincan.MessageConn) {
	t.Helper()
	l := listenMessage(t, endpoint)
	accepted := make(chan tincan.MessageConn, 1)
	go func() {
		c, err := l.Accept(ctx(t))
		if err == nil {
			err = tincan.Handshake(context.Background(), c)
		}
		if err != nil {
			t.Errorf("accept: %v", err)
			close(accepted)
			return
		}
		accepted <- c
	}()
	client, err := dialer().DialMessage(ctx(t), l.Addr().String()+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server = <-accepted; server == nil {
		t.FailNow()
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}
