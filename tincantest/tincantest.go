// Package tincantest holds a transport to what package tincan promises of
// every one: that no byte and no message is lost, cut or mixed up, that each
// end shows as what it is, that whatever blocks can be ended, and that nothing is left behind.
//
// [TestStream] and [TestMessages] take a fixture, which says how to open the
// transport and outright what its family lacks. What is said to be lacking must
// be answered by [errors.ErrUnsupported]; everything else must work. Beside
// it a stream should pass golang.org/x/net/nettest.TestConn.
//
// The other half are peers and networks that misbehave, for whatever runs on a
// transport: [WrapFaulty] and [FaultyTransport] for streams, [WrapFaultyMessages] and
// [FaultyMessageTransport] for messages. [OverMem] puts what runs on TCP into a synctest bubble.
package tincantest

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
)

// patience bounds each test, so that a hang fails and names what hung.
const patience = time.Minute

// run runs one subtest, under a context that bounds it, and then sees to it
// that goroutines and descriptors are as many as before.
func run(t *testing.T, name string, f func(ctx context.Context, t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		noneLeft(t)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		t.Cleanup(cancel)
		f(ctx, t)
	})
}

// noneLeft fails t if at its end, when all else is cleaned up, there are more
// goroutines or descriptors than now.
func noneLeft(t *testing.T) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		// What was closed may take a moment to be gone.
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(patience); ; <-tick.C {
			moreGoroutines, moreFiles := runtime.NumGoroutine()-goroutines, openFiles()-files
			if moreGoroutines <= 0 && moreFiles <= 0 {
				return
			}
			if time.Now().After(end) {
				stacks := make([]byte, 64<<10)
				t.Errorf("left behind: %d goroutines, %d descriptors\n%s", max(moreGoroutines, 0), max(moreFiles, 0), stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

// openFiles counts the descriptors of this process; 0 where the system doesn't show them.
func openFiles() int {
	dir := map[string]string{"linux": "/proc/self/fd", "darwin": "/dev/fd"}[runtime.GOOS]
	if dir == "" {
		return 0
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return len(entries)
}

// dialable fails t unless a is an endpoint whose string is read as the same endpoint.
func dialable(t *testing.T, a net.Addr) {
	t.Helper()
	e, err := tincan.ParseEndpoint(a.String())
	if err != nil {
		t.Fatalf("the listener's address can't be dialled: %v", err)
	}
	if e.Scheme != a.Network() || e.String() != a.String() {
		t.Errorf("the listener's address %s (network %s) is read as %s", a, a.Network(), e)
	}
}

// unstick closes conns when ctx ends before t does, for a transport that
// obeys neither deadlines nor contexts.
func unstick(ctx context.Context, t *testing.T, conns ...tincan.Conn) {
	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(func() { stop() })
}

// eventually gives what is sent on c, or fails t when ctx ends first.
func eventually[T any](ctx context.Context, t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatalf("%s: still waiting after %v", what, patience)
	}
	panic("unreachable")
}

// background runs f and gives its result.
func background[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// isEOF wants io.EOF itself, as [io.Reader] does: callers compare.
func isEOF(err error) bool {
	return err == io.EOF // a wrapped one would be the fault to be found
}
