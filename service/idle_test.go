//go:build linux

package service_test

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// Ten thousand idle clients cost little each, and one more is served at once;
// also where a trace counts what passes, as the command's does.
func TestTenThousandIdleClients(t *testing.T) {
	traced := &tincan.Trace{Closed: func(tincan.Conn, int64, int64, error) {}}
	t.Run("bare", func(t *testing.T) { testIdleClients(t, &service.Server{}) })
	t.Run("traced", func(t *testing.T) { testIdleClients(t, &service.Server{Trace: traced}) })
}

func testIdleClients(t *testing.T, s *service.Server) {
	clients := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Cur)/2 - 100; most < clients {
		clients = most // both ends are in this process
	}
	url, _ := serve(t, s, "unix:"+filepath.Join(t.TempDir(), "s"), lookup(t, "echo").Stream)
	e, err := tincan.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	touch := func(fd int) {
		b := []byte("x")
		if _, err := syscall.Write(fd, b); err != nil {
			t.Fatal(err)
		}
		if n, err := syscall.Read(fd, b); n != 1 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	// Bare descriptors, so that what is measured is the server.
	fds := make([]int, 0, clients)
	defer func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}()
	before := resident(t)
	for range clients {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: e.Path}); err != nil {
			t.Fatal(err)
		}
		touch(fd)
	}
	each := (resident(t) - before) / clients
	t.Logf("%d idle clients: %d bytes each", clients, each)
	// The race detector multiplies memory. The bound for the rest is generous to 4 KiB, but
	// not to 2 KiB more, which is what a stack that has to grow takes.
	if !raceEnabled && each > 4608 {
		t.Errorf("an idle client costs %d bytes", each)
	}
	if got := exchange(t, dial(t, url), "hello"); got != "hello" { // within the deadline that dial sets: the others stay for ever
		t.Errorf("got %q", got)
	}
}

// resident gives this process's resident memory in bytes, what the heap can spare given back.
func resident(t *testing.T) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(status))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
