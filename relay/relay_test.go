package relay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
	"github.com/tincan-ipc/tincan/ws"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds what a test waits for, so that a hang fails and names what hung.
const patience = time.Minute

// kind is a sort of connection: each stands for a way that bytes are moved and ends passed on.
type kind struct {
	endpoint    func(t *testing.T) string
	watched     bool // as a server with timeouts hands it over
	noHalfClose bool
	linux       bool
}

var kinds = map[string]kind{
	"tcp":      {endpoint: fixed("tcp://127.0.0.1:0")},
	"counted":  {endpoint: fixed("tcp://127.0.0.1:0?max-conns=10")},
	"watched":  {endpoint: fixed("tcp://127.0.0.1:0"), watched: true},
	"unix":     {endpoint: func(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "s") }},
	"abstract": {endpoint: func(t *testing.T) string { return "unix:@" + nameFor(t) }, linux: true},
	"tls":      {endpoint: fixed("tls://127.0.0.1:0")},
	"ws":       {endpoint: fixed("ws://127.0.0.1:0/relay"), noHalfClose: true},
	"mem":      {endpoint: func(t *testing.T) string { return "mem:" + nameFor(t) }},
}

func fixed(url string) func(*testing.T) string { return func(*testing.T) string { return url } }

var nameCount struct {
	sync.Mutex
	n int
}

// nameFor gives a name that no other listener of this process has.
func nameFor(t *testing.T) string {
	nameCount.Lock()
	defer nameCount.Unlock()
	nameCount.n++
	return fmt.Sprintf("tincan-relay-%d-%d-%s", os.Getpid(), nameCount.n, filepath.Base(t.Name()))
}

// config is what both ends of every kind are opened with.
var config = sync.OnceValue(func() (c tincan.Config) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c.TLS = &tls.Config{Certificates: s.TLS.Certificates, RootCAs: pool}
	ws.AddTo(&c)
	return c
})

// connect gives the two ends of a connection of some kind.
func connect(t *testing.T, name string) (client, server net.Conn) {
	t.Helper()
	k := kinds[name]
	l, err := (&tincan.ListenConfig{Config: config()}).Listen(t.Context(), k.endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	if k.watched {
		serveWatched(t, l, accepted)
	} else {
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = tincan.Handshake(t.Context(), c)
			}
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
	}
	client, err = (&tincan.Dialer{Config: config()}).Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

// serveWatched hands over what a server accepts, wrapped as its handlers see it.
func serveWatched(t *testing.T, l net.Listener, accepted chan<- net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s := service.Server{IdleTimeout: time.Hour, Drain: -1}
	go func() {
		served <- s.Serve(ctx, l, func(ctx context.Context, c net.Conn) error {
			accepted <- c
			<-ctx.Done()
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

type outcome struct {
	result relay.Result
	err    error
}

// start relays between new connections and gives their far ends.
func start(ctx context.Context, t *testing.T, from, to string, o *relay.Options) (a, b net.Conn, done <-chan outcome) {
	t.Helper()
	a, first := connect(t, from)
	second, b := connect(t, to)
	ch := make(chan outcome, 1)
	go func() {
		r, err := relay.Streams(ctx, first, second, o)
		ch <- outcome{r, err}
	}()
	limit := time.Now().Add(patience)
	_, _ = a.SetDeadline(limit), b.SetDeadline(limit)
	return a, b, ch
}

// await gives how a relay ended.
func await(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(patience):
		stacks := make([]byte, 64<<10)
		t.Fatalf("the relay goes on\n%s", stacks[:runtime.Stack(stacks, true)])
		return outcome{}
	}
}

// eachPair tests every pair of kinds that want picks; nil picks all.
func eachPair(t *testing.T, want func(from, to kind) bool, f func(t *testing.T, from, to string)) {
	names := slices.Sorted(maps.Keys(kinds))
	for _, from := range names {
		for _, to := range names {
			if want != nil && !want(kinds[from], kinds[to]) {
				continue
			}
			t.Run(from+"-"+to, func(t *testing.T) {
				if (kinds[from].linux || kinds[to].linux) && runtime.GOOS != "linux" {
					t.Skip("Linux only")
				}
				t.Parallel()
				f(t, from, to)
			})
		}
	}
}

func halfClosing(from, to kind) bool { return !from.noHalfClose && !to.noHalfClose }

// pattern gives size bytes that tell a place from another.
func pattern(size int, seed uint64) []byte {
	b := make([]byte, (size+7)&^7)
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	for i := 0; i < len(b); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b[:size]
}

// send writes p in pieces of random lengths.
func send(c net.Conn, p []byte) error {
	r := rand.New(rand.NewPCG(1, uint64(len(p))))
	for len(p) > 0 {
		n := min(len(p), 1+r.IntN(256<<10))
		if _, err := c.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// receive reads as much as want and compares.
func receive(c net.Conn, want []byte) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("the bytes differ")
	}
	return nil
}

// all runs each f in a goroutine and fails on any error.
func all(t *testing.T, fs ...func() error) {
	t.Helper()
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// end half-closes c, or closes it where its kind knows no half-close.
func end(c net.Conn) error {
	err := tincan.CloseWrite(c)
	if errors.Is(err, errors.ErrUnsupported) {
		err = c.Close()
	}
	return err
}

// expectEnd reads the orderly end.
func expectEnd(c net.Conn) error {
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF { // the bare one is what is promised
		return errors.Join(errors.New("no orderly end"), err)
	}
	return nil
}
