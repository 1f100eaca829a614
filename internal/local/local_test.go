package local

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestParse(t *testing.T) {
	for _, test := range []struct {
		word string
		role Role
		want *End // nil: an error
	}{
		{"stdio:", From, &End{Scheme: "stdio", Mode: DefaultMode}},
		{"STDIO:", To, &End{Scheme: "stdio", Mode: DefaultMode}},
		{"file:a", From, &End{Scheme: "file", Path: "a", Mode: DefaultMode}},
		{"file:///a/b", To, &End{Scheme: "file", Path: "/a/b", Mode: DefaultMode}},
		{"file:/a%3Fb%25?append&mode=0640", To, &End{Scheme: "file", Path: "/a?b%", Append: true, Mode: 0o640}},
		{"file:a?mode=777", To, &End{Scheme: "file", Path: "a", Mode: 0o777}},
		{"fd:12", From, &End{Scheme: "fd", FD: 12, Mode: DefaultMode}},
		{"systemd:", From, &End{Scheme: "systemd", Mode: DefaultMode}},
		{"systemd:web", From, &End{Scheme: "systemd", Name: "web", Mode: DefaultMode}},
		{word: "stdio:x"},
		{word: "file:"},
		{word: "file:a%"},
		{word: "file:a?append"},
		{word: "file:a?append=yes", role: To},
		{word: "file:a?mode", role: To},
		{word: "file:a?mode=0888", role: To},
		{word: "file:a?mode=01777", role: To},
		{word: "file:a?", role: To, want: &End{Scheme: "file", Path: "a", Mode: DefaultMode}},
		{word: "file:a?x", role: To},
		{word: "fd:"},
		{word: "fd:-1"},
		{word: "fd:0x3"},
		{word: "systemd:web", role: To},
	} {
		got, ok, err := Parse(test.word, test.role)
		if !ok {
			t.Errorf("%s: not taken for an end", test.word)
		}
		if test.want == nil {
			if tincan.KindOf(err) != tincan.KindUsage {
				t.Errorf("%s: %v, want a usage error", test.word, err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(End{})); err != nil || diff != "" {
			t.Errorf("%s: %v %s", test.word, err, diff)
		}
		if got.String() != test.word {
			t.Errorf("%s prints as %s", test.word, got)
		}
	}
	for _, word := range []string{"", "-", "tcp://:80", "unix:x", "filex"} {
		if _, ok, err := Parse(word, From); ok || err != nil {
			t.Errorf("%q: taken for an end, %v", word, err)
		}
	}
}

func open(t *testing.T, word string, role Role) net.Conn {
	t.Helper()
	e, _, err := Parse(word, role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.OpenFile(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFile: what is written is there, by the rules of > and >>.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, step := range []struct {
		query, write, want string
		mode               fs.FileMode
	}{
		{"?mode=0664", "one", "one", 0o664},
		{"?append&mode=0600", "two", "onetwo", 0o664},
		{"", "three", "three", 0o664},
	} {
		c := open(t, "file:"+path+step.query, To)
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		if _, err := io.WriteString(c, step.write); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatalf("the end came while the file was being written: %v", err)
		default:
		}
		if err := tincan.CloseWrite(c); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != io.EOF {
			t.Errorf("then %v, want io.EOF", err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.want {
			t.Errorf("the file holds %q, %v; want %q", got, err, step.want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != step.mode && runtime.GOOS != "windows" {
			t.Errorf("the mode is %v, %v; want %v", info.Mode(), err, step.mode)
		}
	}
	c := open(t, "file:"+path, From)
	if n, err := io.WriteString(c, "goes nowhere"); n != 12 || err != nil {
		t.Errorf("writing to what is read: %d, %v", n, err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "three" {
		t.Errorf("read %q, %v", got, err)
	}
	if e, _, _ := Parse("file:"+path, From); true {
		if n, ok := e.Size(); !ok || n != 5 {
			t.Errorf("the size is %d, %v", n, ok)
		}
	}
}

// TestErrors: they are those of connections.
func TestErrors(t *testing.T) {
	c := open(t, "file:"+filepath.Join(t.TempDir(), "f"), To)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || tincan.KindOf(err) != tincan.KindTimeout {
		t.Errorf("after the deadline: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var opErr *net.OpError
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || !errors.As(err, &opErr) {
		t.Errorf("writing after Close: %v", err)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		full := open(t, "file:/dev/full", To)
		if _, err := full.Write([]byte("x")); err == nil || tincan.KindOf(err) != tincan.KindOther {
			t.Errorf("a full disk: %v", err)
		}
	}
}

// TestCloseRead ends a read that blocks, on what the system can wake and what it can't.
func TestCloseRead(t *testing.T) {
	for _, detach := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in := wakeable(r)
		if detach {
			in = &detached{f: r, closed: make(chan struct{})}
		}
		c := oneWay(&End{Scheme: "stdio"}, in, nil)
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		if err := tincan.CloseRead(c); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != io.EOF {
			t.Errorf("detached %v: %v, want io.EOF", detach, err)
		}
		if err := errors.Join(c.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestDetached: a deadline ends a call, and what it then gives is kept.
func TestDetached(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, out := &detached{f: r, closed: make(chan struct{})}, &detached{f: w, closed: make(chan struct{})}
	if err := in.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if n, err := in.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d, %v", n, err)
	}
	if err := in.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for len(got) < 5 {
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	// A write that nobody takes.
	if err := out.SetWriteDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 1<<20)
	if n, err := out.Write(big); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d, %v", n, err)
	}
	clear(big) // what was left behind has its own
	if n, err := io.Copy(io.Discard, io.LimitReader(in, 1<<20)); n != 1<<20 || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	if err := errors.Join(out.Close(), in.Close()); err != nil {
		t.Error(err)
	}
	if _, err := in.Read(buf); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
