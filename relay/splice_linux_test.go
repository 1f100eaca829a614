package relay

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"golang.org/x/sys/unix"
)

// socketPair gives a connection of the network and its far end.
func socketPair(t *testing.T, network string) (far, near net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	return far, near
}

// upload relays p from one network to another and checks that it arrives whole.
func upload(t *testing.T, from, to string, p []byte) {
	t.Helper()
	a, first := socketPair(t, from)
	b, second := socketPair(t, to)
	go func() {
		_, _ = a.Write(p)
		_ = tincan.CloseWrite(a)
	}()
	// The relay finds much to read at once, so that the flow counts as bulk.
	for queued, rest := 0, 100; queued < 128<<10 && rest > 0; rest-- {
		raw, err := tincan.SyscallConn(first)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { queued, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
		<-time.After(time.Millisecond)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Streams(t.Context(), first, second, nil)
		done <- err
	}()
	got := make([]byte, len(p))
	n, err := io.ReadFull(b, got)
	if err != nil || !bytes.Equal(got, p) {
		t.Errorf("%s to %s: %d of %d bytes, or others: %v", from, to, n, len(p), err)
	}
	_ = b.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A Unix socket that bulk goes to holds more than by default; a size that somebody chose stays.
func TestSpliceSendBuffer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chosen int
		grows  bool
	}{{"default", 0, true}, {"chosen", 64 << 10, false}} {
		a, first := socketPair(t, "unix")
		b, second := socketPair(t, "unix")
		to := second.(*net.UnixConn)
		if tt.chosen > 0 {
			if err := to.SetWriteBuffer(tt.chosen); err != nil {
				t.Fatal(err)
			}
		}
		before := sendBuffer(t, to)
		go func() {
			_, _ = a.Write(bulk(8 << 20))
			_ = tincan.CloseWrite(a)
		}()
		done := make(chan error, 1)
		go func() {
			_, err := Streams(t.Context(), first, second, nil)
			done <- err
		}()
		if _, err := io.CopyN(io.Discard, b, 8<<20); err != nil {
			t.Fatal(err)
		}
		if now := sendBuffer(t, to); now > before != tt.grows {
			t.Errorf("%s: a send buffer of %d bytes, of %d before", tt.name, now, before)
		}
		_ = b.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func sendBuffer(t *testing.T, c net.Conn) (size int) {
	t.Helper()
	raw, err := tincan.SyscallConn(c)
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) })
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func bulk(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i * 7 / 5)
	}
	return p
}

func TestSpliceUsed(t *testing.T) {
	for _, pair := range [][2]string{{"tcp", "tcp"}, {"tcp", "unix"}, {"unix", "tcp"}, {"unix", "unix"}} {
		before := spliced.Load()
		upload(t, pair[0], pair[1], bulk(32<<20))
		if n := spliced.Load() - before; n < 16<<20 {
			t.Errorf("%v: only %d of 32 MiB were spliced", pair, n)
		}
	}
}

// Bulk is told by what comes at once, though a socket that holds less than the buffer never fills it.
func TestSpliceShortQueue(t *testing.T) {
	a, first := socketPair(t, "unix")
	b, second := socketPair(t, "unix")
	if err := a.(*net.UnixConn).SetWriteBuffer(bufferSize / 2); err != nil { // which the kernel doubles, and counts its own part
		t.Fatal(err)
	}
	const size = 16 << 20
	go func() {
		_, _ = a.Write(bulk(size))
		_ = tincan.CloseWrite(a)
	}()
	before := spliced.Load()
	done := make(chan error, 1)
	go func() {
		_, err := Streams(t.Context(), first, second, nil)
		done <- err
	}()
	if n, err := io.Copy(io.Discard, b); n != size || err != nil {
		t.Errorf("%d of %d bytes: %v", n, size, err)
	}
	if n := spliced.Load() - before; n < size/2 {
		t.Errorf("%d of %d bytes were spliced", n, size)
	}
	_ = b.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A flow that was bulk and is no more gets away from the pipes.
func TestSpliceDemotes(t *testing.T) {
	a, first := socketPair(t, "unix")
	b, second := socketPair(t, "unix")
	done := make(chan error, 1)
	go func() {
		_, err := Streams(t.Context(), first, second, nil)
		done <- err
	}()
	p, got := bulk(8<<20), make([]byte, 8<<20)
	go func() { _, _ = a.Write(p) }()
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	exchange := func() {
		for range 2 * demoteAfter {
			if _, err := a.Write(p[:100]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(b, got[:100]); err != nil {
				t.Fatal(err)
			}
		}
	}
	exchange()
	before := spliced.Load()
	exchange()
	if n := spliced.Load() - before; n != 0 {
		t.Errorf("%d bytes of small talk were spliced", n)
	}
	_, _ = a.Close(), b.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Where the kernel refuses, on either side, the flow is copied and nothing is lost of what is in the pipe.
func TestSpliceRefused(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOSYS, syscall.EPERM} {
		for _, side := range []string{"fill", "drain"} {
			calls := 0
			spliceCall = func(from, to, most int) (int, error) {
				isDrain := isPipe(from)
				if isDrain == (side == "drain") {
					if calls++; calls > 2 {
						return 0, errno
					}
				}
				return splice(from, to, most)
			}
			upload(t, "tcp", "unix", bulk(8<<20))
			spliceCall = splice
			if calls != 3 {
				t.Errorf("%s: %v was met %d times, want once", side, errno, calls-2)
			}
		}
	}
}

func isPipe(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFIFO
}

// Without a pipe, because others use them all or the system has none, the flow is copied.
func TestSpliceWithoutPipe(t *testing.T) {
	var taken []*pipe
	for p := pipes.get(); p != nil; p = pipes.get() {
		taken = append(taken, p)
	}
	if len(taken) == 0 || len(taken) > maxPipes {
		t.Fatalf("%d pipes, at most %d are allowed", len(taken), maxPipes)
	}
	before := spliced.Load()
	upload(t, "tcp", "tcp", bulk(8<<20))
	if spliced.Load() != before {
		t.Error("spliced without a pipe")
	}
	for _, p := range taken {
		pipes.put(p, true)
	}
	before = spliced.Load()
	upload(t, "tcp", "tcp", bulk(8<<20))
	if spliced.Load() == before {
		t.Error("not spliced though there are pipes")
	}
}

// Pipes that nobody needs are closed, those that are needed stay.
func TestPipesRest(t *testing.T) {
	var pp pipePool
	var some []*pipe
	for range 5 {
		some = append(some, pp.get())
	}
	for _, p := range some {
		pp.put(p, true)
	}
	pp.sweep() // they have been used since the last time
	if pp.count != 5 {
		t.Errorf("%d pipes are open, want 5", pp.count)
	}
	first, second := pp.get(), pp.get()
	pp.put(first, true)
	pp.put(second, false) // it may hold something
	pp.sweep()
	if pp.count != 1 || len(pp.free) != 1 {
		t.Errorf("%d pipes are open, %d free; want the one that was used", pp.count, len(pp.free))
	}
	pp.sweep()
	if pp.count != 0 || len(pp.free) != 0 {
		t.Errorf("%d pipes are open, %d free; want none", pp.count, len(pp.free))
	}
}

// A user whose limit is reached gets small pipes, and no harm is done.
func TestSmallPipe(t *testing.T) {
	p := newPipe()
	if p == nil {
		t.Fatal("no pipe")
	}
	defer p.close()
	if p.size < minPipe || p.size > 2*pipeSize {
		t.Errorf("a pipe of %d bytes", p.size)
	}
}

// More bulk flows than pipes, of which half have a reader that stops for a while.
func TestSpliceManyFlows(t *testing.T) {
	const flows = maxPipes + 16
	p := bulk(1 << 20)
	done := make(chan error, flows)
	ends := make([]net.Conn, flows)
	for i := range flows {
		a, first := socketPair(t, "unix")
		b, second := socketPair(t, "unix")
		ends[i] = b
		go func() {
			_, err := Streams(t.Context(), first, second, nil)
			done <- err
		}()
		go func() {
			_, _ = a.Write(p)
			_ = tincan.CloseWrite(a)
		}()
	}
	for i := range flows {
		b := ends[(i+flows/2)%flows]
		_ = b.SetDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("flow %d: %d bytes, %v", i, len(got), err)
		}
		_ = b.Close()
	}
	for range flows {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if pipes.count > maxPipes {
		t.Errorf("%d pipes", pipes.count)
	}
}

// callsConn notes how bytes went past its Read and Write.
type callsConn struct {
	net.Conn
	spliced, copied atomic.Int64
}

func (c *callsConn) Unwrap() tincan.Conn { return c.Conn }

func (c *callsConn) Passed(received, sent int64, spliced bool) {
	if spliced {
		c.spliced.Add(received + sent)
	} else {
		c.copied.Add(received + sent)
	}
}

// A connection that counts is told that small pieces cost a read and a write, and that bulk was spliced.
func TestPassedTellsTheCall(t *testing.T) {
	a, first := socketPair(t, "tcp")
	b, second := socketPair(t, "unix")
	client := &callsConn{Conn: first}
	done := make(chan error, 1)
	go func() {
		_, err := Streams(t.Context(), client, second, nil)
		done <- err
	}()
	for range 10 {
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			if _, err := io.WriteString(way[0], "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], make([]byte, len("hello"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	const size = 16 << 20
	go func() {
		_, _ = a.Write(bulk(size))
		_ = tincan.CloseWrite(a)
	}()
	if n, err := io.Copy(io.Discard, b); n != size || err != nil {
		t.Errorf("%d of %d bytes: %v", n, size, err)
	}
	_ = b.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	small := int64(2 * 10 * len("hello"))
	copied, spliced := client.copied.Load(), client.spliced.Load()
	if copied < small || spliced < size/2 || copied+spliced != size+small {
		t.Errorf("told of %d bytes copied and %d spliced, of %d small and %d bulk", copied, spliced, small, size)
	}
}
