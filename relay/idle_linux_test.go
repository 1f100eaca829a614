package relay

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// As many idle pairs as descriptors allow cost little memory each, and hold up no newcomer.
func TestManyIdlePairs(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	pairs := min(4000, int(limit.Cur/4)-250) // a pair and its far ends are four descriptors
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect := func() (far, near net.Conn) {
		far, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return far, near
	}
	type line struct{ a, first, second, b net.Conn }
	lines := make([]line, pairs)
	for i := range lines {
		lines[i].a, lines[i].first = connect()
		lines[i].b, lines[i].second = connect()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exchange := func(l line) {
		buf := make([]byte, 1)
		for _, way := range [][2]net.Conn{{l.a, l.b}, {l.b, l.a}} {
			if _, err := way[0].Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := inUse()
	var wg sync.WaitGroup
	for _, l := range lines {
		wg.Go(func() { _, _ = Streams(ctx, l.first, l.second, nil) })
	}
	for _, l := range lines { // each has worked once
		exchange(l)
	}
	per := (inUse() - before) / pairs
	t.Logf("%d pairs of %d bytes", pairs, per)
	if per > 16<<10 && !raceEnabled {
		t.Errorf("an idle pair takes %d bytes", per)
	}
	// A newcomer waits for none of them: the best of ten, for another program may hold the processor.
	var late []line
	best := time.Hour
	for range 10 {
		var l line
		begin := time.Now()
		l.a, l.first = connect()
		l.b, l.second = connect()
		_, _ = l.a.SetDeadline(begin.Add(time.Minute)), l.b.SetDeadline(begin.Add(time.Minute)) // the others stay for ever
		wg.Go(func() { _, _ = Streams(ctx, l.first, l.second, nil) })
		exchange(l)
		best = min(best, time.Since(begin))
		late = append(late, l)
	}
	if best > 100*time.Millisecond {
		t.Errorf("a newcomer waited for %v", best)
	}
	cancel()
	wg.Wait()
	for _, l := range slices.Concat(lines, late) {
		_, _ = l.a.Close(), l.b.Close()
	}
}

// inUse gives the bytes of heap and stacks.
func inUse() int {
	runtime.GC()
	runtime.GC() // the first empties the pools only halfway
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
