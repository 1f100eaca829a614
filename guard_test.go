package tincan_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/tincan-ipc/tincan"
)

// farTransport accepts connections from the endpoints in from, one after another.
type farTransport struct{ from chan *tincan.Endpoint }

func (farTransport) Dial(context.Context, *tincan.Dialer, *tincan.Endpoint) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (f farTransport) Listen(_ context.Context, _ *tincan.ListenConfig, e *tincan.Endpoint) (net.Listener, error) {
	return farListener{f, e}, nil
}

type farListener struct {
	farTransport
	addr *tincan.Endpoint
}

func (l farListener) Accept() (net.Conn, error) {
	e, ok := <-l.from
	if !ok {
		return nil, net.ErrClosed
	}
	near, far := net.Pipe()
	_ = far.Close()
	return farConn{near, e}, nil
}

func (l farListener) Close() error   { return nil }
func (l farListener) Addr() net.Addr { return l.addr }

type farConn struct {
	net.Conn
	remote *tincan.Endpoint
}

func (c farConn) RemoteAddr() net.Addr { return c.remote }

// A source is a machine, also where a transport tells addresses as endpoints.
func TestSourceIsTheHostOfAnEndpoint(t *testing.T) {
	far := farTransport{make(chan *tincan.Endpoint, 3)}
	for _, peer := range []tincan.Endpoint{{Host: "3", Port: "1024"}, {Host: "3", Port: "1025"}, {Host: "4", Port: "1024"}} {
		peer.Scheme = "vsock"
		far.from <- &peer
	}
	close(far.from)
	var refused []string
	lc := tincan.ListenConfig{Config: tincan.Config{
		Transports: map[string]tincan.Transport{"vsock": far},
		Trace: &tincan.Trace{Refused: func(_, remote net.Addr, err error) {
			if !errors.Is(err, tincan.ErrTooManyConns) {
				t.Errorf("%v refused: %v", remote, err)
			}
			refused = append(refused, remote.String())
		}},
	}}
	l, err := lc.Listen(t.Context(), "vsock://*:0?max-conns-per-source=1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, want := range []string{"vsock://3:1024", "vsock://4:1024"} {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := c.RemoteAddr().String(); got != want {
			t.Errorf("accepted %s, want %s", got, want)
		}
	}
	if len(refused) != 1 || refused[0] != "vsock://3:1025" {
		t.Errorf("refused %v", refused)
	}
}
