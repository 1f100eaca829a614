package relay_test

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/relay"
	"github.com/tincan-ipc/tincan/service"
)

// named serves streams at a mem: endpoint that answer with its name and end, until stop is called.
func named(t *testing.T, name string) (e *tincan.Endpoint, stop func()) {
	t.Helper()
	l, err := tincan.Listen(t.Context(), "mem:"+name)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(name))
			_ = c.Close()
		}
	})
	stop = sync.OnceFunc(func() {
		_ = l.Close()
		wg.Wait()
	})
	t.Cleanup(stop)
	return parse(t, "mem:"+name), stop
}

// visit has f serve one client, and gives what the client read.
func visit(ctx context.Context, t *testing.T, f *relay.Forwarder) (string, error) {
	t.Helper()
	client, server := connect(t, "mem")
	done := make(chan error, 1)
	go func() { done <- f.Stream(ctx, server) }()
	_ = tincan.CloseWrite(client)
	buf := make([]byte, 10)
	n, err := client.Read(buf)
	_ = client.Close()
	if relayErr := <-done; relayErr != nil {
		return "", relayErr
	}
	return string(buf[:n]), err
}

func TestForwarderFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, stopA := named(t, "a")
		b, stopB := named(t, "b")
		f := &relay.Forwarder{Targets: []*tincan.Endpoint{a, b}, Rest: time.Minute}
		expect := func(want string) {
			t.Helper()
			if got, err := visit(t.Context(), t, f); got != want || err != nil {
				t.Errorf("served by %q, %v; want %q", got, err, want)
			}
		}
		expect("a")
		stopA()
		expect("b")
		_, stopA = named(t, "a")
		expect("b") // a rests
		time.Sleep(time.Minute)
		expect("a")
		stopA()
		stopB()
		if _, err := visit(t.Context(), t, f); tincan.KindOf(err) != tincan.KindConnect {
			t.Errorf("nobody there: %v", err)
		}
		_, stopB = named(t, "b")
		expect("b") // both rest, and are tried nevertheless
		stopB()
	})
}

func TestForwarderBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []*tincan.Endpoint
		var stops []func()
		for _, name := range []string{"a", "b", "c"} {
			e, stop := named(t, name)
			targets, stops = append(targets, e), append(stops, stop)
		}
		f := &relay.Forwarder{Targets: targets, Balance: true}
		var got []string
		for i := range 9 {
			if i == 5 {
				stops[0]()
			}
			name, err := visit(t.Context(), t, f)
			if err != nil {
				t.Error(err)
			}
			got = append(got, name)
		}
		// Once a is down, both others have its share.
		if want := []string{"a", "b", "c", "a", "b", "c", "b", "c", "b"}; !slices.Equal(got, want) {
			t.Errorf("served by %q, want %q", got, want)
		}
		stops[1]()
		stops[2]()
	})
}

// The target comes up late, and what the client sent meanwhile is not lost.
func TestForwarderRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		f := &relay.Forwarder{
			Targets: []*tincan.Endpoint{parse(t, "mem:late")},
			Dialer: &tincan.Dialer{
				Retry:  true,
				Config: tincan.Config{Trace: &tincan.Trace{Retrying: func(*tincan.Endpoint, int, time.Duration, error) { tries++ }}},
			},
		}
		client, server := connect(t, "mem")
		done := make(chan error, 1)
		go func() { done <- f.Stream(t.Context(), server) }()
		early := pattern(50<<10, 1)
		if err := errors.Join(send(client, early), end(client)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		l, err := tincan.Listen(t.Context(), "mem:late")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		target, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(receive(target, early), expectEnd(target), target.Close(), <-done); err != nil {
			t.Error(err)
		}
		if tries < 2 {
			t.Errorf("tried again %d times", tries)
		}
	})
}

// The end of ctx ends the wait for a target at once, and no healthy target is blamed for it.
func TestForwarderCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &relay.Forwarder{Targets: []*tincan.Endpoint{parse(t, "mem:never")}, Dialer: &tincan.Dialer{Retry: true}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		begin := time.Now()
		if _, err := visit(ctx, t, f); err == nil {
			t.Error("no error")
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		a, stopA := named(t, "a")
		b, stopB := named(t, "b")
		f = &relay.Forwarder{Targets: []*tincan.Endpoint{a, b}}
		if _, err := visit(ctx, t, f); err == nil {
			t.Error("no error though ctx had ended")
		}
		if got, err := visit(t.Context(), t, f); got != "a" || err != nil {
			t.Errorf("served by %q, %v", got, err)
		}
		stopA()
		stopB()
	})
}

// scarce fails for want of descriptors until an instant, and dials mem: afterwards.
type scarce struct {
	tincan.Transport
	until time.Time
}

func (s scarce) Dial(ctx context.Context, d *tincan.Dialer, e *tincan.Endpoint) (net.Conn, error) {
	if time.Now().Before(s.until) {
		return nil, &net.OpError{Op: "dial", Net: "mem", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}
	return (&tincan.Dialer{}).DialEndpoint(ctx, e)
}

// A lack of descriptors is waited out without Retry, tells nothing of the target, and is bounded by the dialler's timeout.
func TestForwarderScarce(t *testing.T) {
	for _, tt := range []struct {
		lack, timeout time.Duration
		served        bool
	}{{time.Minute, 0, true}, {time.Second, 5 * time.Second, true}, {time.Minute, 5 * time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			target, _ := named(t, "a")
			f := &relay.Forwarder{Targets: []*tincan.Endpoint{target}, Dialer: &tincan.Dialer{Timeout: tt.timeout}}
			f.Dialer.Transports = map[string]tincan.Transport{"mem": scarce{until: time.Now().Add(tt.lack)}}
			begin := time.Now()
			got, err := visit(t.Context(), t, f)
			took := time.Since(begin)
			switch {
			case tt.served && (got != "a" || err != nil || took < tt.lack || took > tt.lack+2*time.Second):
				t.Errorf("%+v: served by %q, %v after %v", tt, got, err, took)
			case !tt.served && (!errors.Is(err, syscall.EMFILE) || took != tt.timeout):
				t.Errorf("%+v: %v after %v", tt, err, took)
			}
		})
	}
}

func TestForwarderNoTarget(t *testing.T) {
	for _, balance := range []bool{false, true} {
		if _, err := visit(t.Context(), t, &relay.Forwarder{Balance: balance}); !errors.Is(err, relay.ErrNoTarget) {
			t.Errorf("got %v, want ErrNoTarget", err)
		}
	}
}

func TestForwarderStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := tincan.Listen(t.Context(), "mem:stats")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		target := parse(t, "mem:stats")
		f := &relay.Forwarder{Targets: []*tincan.Endpoint{target}}
		if got := f.Stats(); got != (relay.Stats{}) || len(f.Pairs()) != 0 {
			t.Errorf("at first: %+v", got)
		}
		begin := time.Now()
		client, server := connect(t, "mem")
		done := make(chan error, 1)
		go func() { done <- f.Stream(t.Context(), server) }()
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := errors.Join(send(client, pattern(100, 1)), receive(far, pattern(100, 1)), send(far, pattern(30, 1)), receive(client, pattern(30, 1))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := f.Stats(), (relay.Stats{Live: 1, Accepted: 1, Forward: 100, Backward: 30}); got != want {
			t.Errorf("with one: %+v, want %+v", got, want)
		}
		pairs := f.Pairs()
		if len(pairs) != 1 || pairs[0] != (relay.Pair{ID: 1, Client: server.RemoteAddr(), Target: target, Since: begin, Forward: 100, Backward: 30}) {
			t.Errorf("with one: %+v", pairs)
		}
		_ = tincan.Abort(client)
		if err := <-done; tincan.KindOf(err) != tincan.KindReset {
			t.Errorf("ended with %v", err)
		}
		_ = l.Close()
		if _, err := visit(t.Context(), t, f); err == nil {
			t.Error("no error without a target")
		}
		if got, want := f.Stats(), (relay.Stats{Accepted: 2, Unreached: 1, Failed: 1, Forward: 100, Backward: 30}); got != want {
			t.Errorf("at last: %+v, want %+v", got, want)
		}
	})
}

// As the handler of a server, with the server's own watch on its connections: the pair isn't silent to it.
func TestForwarderInServer(t *testing.T) {
	far, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bulk := pattern(4<<20, 1)
	var received, sent int64
	f := &relay.Forwarder{Targets: []*tincan.Endpoint{parse(t, far.Addr().String())}}
	s := &service.Server{IdleTimeout: 2 * time.Second, Trace: &tincan.Trace{
		Closed: func(_ tincan.Conn, r, s int64, _ error) { received, sent = r, s },
	}}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, near, f.Stream) }()
	client, err := tincan.Dial(t.Context(), near.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	target, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conns := [2]net.Conn{client, target}
	for i := range 30 { // for longer than it may be silent
		if err := errors.Join(send(conns[i%2], []byte("x")), receive(conns[1-i%2], []byte("x"))); err != nil {
			t.Fatal(err)
		}
		<-time.After(80 * time.Millisecond)
	}
	all(t, func() error { return errors.Join(send(client, bulk), end(client)) }, func() error { return errors.Join(receive(target, bulk), end(target)) })
	all(t, func() error { return expectEnd(client) })
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if received != 4<<20+15 || sent != 15 {
		t.Errorf("the server counted %d and %d bytes", received, sent)
	}
}
