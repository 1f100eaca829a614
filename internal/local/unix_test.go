//go:build unix

package local

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tincan-ipc/tincan"
)

// TestStdio leaves the flags of what others share alone, and can be interrupted all the same.
func TestStdio(t *testing.T) {
	var in, out [2]int
	if err := errors.Join(unix.Pipe(in[:]), unix.Pipe(out[:])); err != nil { // blocking, as a shell's are
		t.Fatal(err)
	}
	files := map[int]*os.File{}
	for _, fd := range append(in[:], out[:]...) {
		files[fd] = os.NewFile(uintptr(fd), "pipe")
		defer files[fd].Close()
	}
	e, _, err := Parse("stdio:", From)
	if err != nil {
		t.Fatal(err)
	}
	c := e.Stdio(files[in[0]], files[out[1]])
	for _, fd := range []int{in[0], out[1]} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("O_NONBLOCK is set for everyone, %v", err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(files[in[1]], "in"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "in" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if _, err := io.WriteString(c, "out"); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(files[out[0]]); err != nil || string(got) != "out" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestFIFO: opening one waits for its other end, or ctx.
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	e, _, err := Parse("file:"+path, From)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := e.OpenFile(ctx, From); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0) // ends what was left behind
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFD(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	take := func(f interface {
		SyscallConn() (syscall.RawConn, error)
	},
	) (Socket, error) {
		t.Helper()
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var copied int
		if err := errors.Join(raw.Control(func(fd uintptr) { copied, err = unix.Dup(int(fd)) }), err); err != nil {
			t.Fatal(err)
		}
		return (&End{Scheme: "fd", FD: copied, word: "fd:x"}).OpenFD()
	}
	s, err := take(ln.(*net.UnixListener))
	if err != nil || s.Listener == nil {
		t.Fatalf("a listener: %+v, %v", s, err)
	}
	if err := s.Listener.Close(); err != nil {
		t.Error(err)
	}
	s, err = take(client.(*net.UnixConn))
	if _, bare := s.Conn.(*net.UnixConn); err != nil || !bare {
		t.Fatalf("a connection: %+v, %v", s, err)
	}
	_ = s.Conn.Close()
	s, err = take(datagrams.(*net.UDPConn))
	udp, ok := s.Messages.(*net.UDPConn)
	if err != nil || !ok {
		t.Fatalf("a datagram socket: %+v, %v", s, err)
	}
	_ = udp.Close()
	peer, err := net.Dial("udp", datagrams.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	s, err = take(peer.(*net.UDPConn))
	if err != nil || s.MessageConn == nil {
		t.Fatalf("a datagram socket with a peer: %+v, %v", s, err)
	}
	_ = s.MessageConn.Close()
	in, err := take(r)
	if err != nil {
		t.Fatal(err)
	}
	out, err := take(w)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := io.WriteString(out.Conn, "through"); err != nil {
		t.Fatal(err)
	}
	if err := tincan.CloseWrite(out.Conn); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in.Conn); err != nil || string(got) != "through" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := errors.Join(in.Conn.Close(), out.Conn.Close()); err != nil {
		t.Error(err)
	}
	if _, err := (&End{Scheme: "fd", FD: 1 << 20, word: "fd:x"}).OpenFD(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("nothing there: %v", err)
	}
}

func TestProgram(t *testing.T) {
	for _, tty := range []bool{false, true} {
		// A terminal shows what is typed too, at any time: not once "ready" is there.
		script := `if test -t 0; then stty -echo; fi; echo ready; while read line; do echo "<$line $WORD>"; done; exit 6`
		p := &Program{Argv: []string{"sh", "-c", script}, Env: append(os.Environ(), "WORD=x"), PTY: tty}
		c, err := p.Start()
		if err != nil {
			t.Fatal(err)
		}
		newline := "\n"
		if tty {
			newline = "\r\n"
		}
		ready := make([]byte, len("ready"+newline))
		if _, err := io.ReadFull(c, ready); err != nil || string(ready) != "ready"+newline {
			t.Fatalf("tty %v: %q, %v", tty, ready, err)
		}
		if _, err := io.WriteString(c, "one\ntwo\nthr"); err != nil {
			t.Fatal(err)
		}
		if err := tincan.CloseWrite(c); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		want := "<one x>" + newline + "<two x>" + newline
		if err != nil || string(got) != want {
			t.Errorf("tty %v: %q, %v", tty, got, err)
		}
		<-c.Done()
		if c.Status() != 6 || !c.Deaf() {
			t.Errorf("tty %v: status %d, deaf %v", tty, c.Status(), c.Deaf())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	c, err := (&Program{Argv: []string{"sleep", "100"}}).Start()
	if err != nil {
		t.Fatal(err)
	}
	if c.Deaf() {
		t.Error("deaf while it runs")
	}
	c.Signal(syscall.SIGTERM)
	<-c.Done()
	if c.Status() != 128+15 {
		t.Errorf("status %d, want 143", c.Status())
	}
	_ = c.Close()
	if _, err := (&Program{Argv: []string{"./none"}}).Start(); err == nil {
		t.Error("there is no such program")
	}
}
