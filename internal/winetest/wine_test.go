//go:build wine

// Package winetest runs the Windows build of the command under Wine, against this side's sockets: TCP only, as Wine 8
// has neither AF_UNIX nor the whole of UDP. It is behind the build tag wine; make wine runs it. Where Wine is missing it fails.
package winetest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// limit bounds each program that is run, the first start of Wine (which builds its folder) among them.
const limit = 90 * time.Second

// A wine is Wine with a folder of its own, and the command built for Windows.
type wine struct {
	loader, server string
	env            []string
	dir, exe       string
}

// command gives a program under Wine; ctx ends it. Its output must go to files, not to pipes that something waits on: Wine's
// own processes, which the first program starts and which outlive it, hold on to them.
func (w *wine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.loader, args...)
	cmd.Env = w.env
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs a program under Wine to its end and returns its output.
func (w *wine) run(ctx context.Context, stdin io.Reader, args ...string) (stdout, stderr []byte, err error) {
	cmd := w.command(ctx, args...)
	cmd.Stdin = stdin
	read := func(f *os.File) []byte {
		b, readErr := os.ReadFile(f.Name())
		err = errors.Join(err, readErr, f.Close())
		return b
	}
	outFile, err := os.CreateTemp(w.dir, "stdout")
	if err != nil {
		return nil, nil, err
	}
	errFile, err := os.CreateTemp(w.dir, "stderr")
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout, cmd.Stderr = outFile, errFile
	err = cmd.Run()
	return read(outFile), read(errFile), err
}

// newWine makes a folder for Wine with the shim in it and builds the command. Both go when the test ends.
func newWine(t *testing.T) *wine {
	t.Helper()
	dir := t.TempDir()
	prefix := filepath.Join(dir, "prefix")
	w := &wine{
		loader: find(t, "wine64", "/usr/lib/wine/wine64", "wine"),
		server: find(t, "wineserver", "/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver"),
		env: append(os.Environ(), "WINEPREFIX="+prefix, "WINEARCH=win64", "WINEDEBUG=-all",
			"WINEDLLOVERRIDES=bcryptprimitives=n;mscoree=;mshtml=", "DISPLAY="),
		dir: dir,
		exe: filepath.Join(dir, "tincan.exe"),
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.exe, "github.com/tincan-ipc/tincan/cmd/tincan")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	must(t, build)

	if err := os.Mkdir(prefix, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Wine's own processes stay for a while after the last program; -k ends those of this folder, -w waits for it.
		for _, flag := range []string{"-k", "-w"} {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			cmd := exec.CommandContext(ctx, w.server, flag)
			cmd.Env = w.env
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Logf("wineserver %s: %v %s", flag, err, out)
			}
			cancel()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, stderr, err := w.run(ctx, nil, "wineboot", "--init"); err != nil {
		t.Fatalf("wineboot: %v\n%s", err, stderr)
	}

	// Go looks for the DLL in the system folder alone.
	shim := filepath.Join(prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	must(t, exec.CommandContext(t.Context(), "ld", "-m", "i386pep", "-shared", "--entry=0", "-o", shim, "bcryptprimitives.def"))
	return w
}

// find returns the first of the programs that is installed.
func find(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	t.Fatalf("none of %s is installed: make deps", strings.Join(names, ", "))
	return ""
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func TestWine(t *testing.T) {
	w := newWine(t)
	data := make([]byte, 1<<20)
	rand.Read(data)
	t.Run("serve", func(t *testing.T) { testServe(t, w, data) })
	t.Run("connect", func(t *testing.T) { testConnect(t, w, data) })
	t.Run("refused", func(t *testing.T) { testRefused(t, w) })
}

// testServe has several clients at once upload, half-close and read everything back from the echo service under Wine.
func testServe(t *testing.T, w *wine, data []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	server := w.command(ctx, w.exe, "serve", "echo", "tcp://127.0.0.1:0")
	stderr, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	defer context.AfterFunc(ctx, func() { stderr.Close() })()
	server.Stderr = theirs
	err = server.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		server.Wait() //nolint:errcheck // It was killed.
	}()
	addr := listening(stderr)
	if addr == "" {
		t.Fatal("the server never said where it listens")
	}

	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			if err := echoed(ctx, addr, data); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
}

// listening reads a server's standard error up to where it says what it listens on, and returns that host and port.
func listening(stderr io.Reader) string {
	for words := bufio.NewScanner(stderr); words.Scan(); {
		if _, endpoint, ok := strings.Cut(strings.TrimSpace(words.Text()), "listening on "); ok {
			if u, err := url.Parse(endpoint); err == nil {
				return u.Host
			}
		}
	}
	return ""
}

// echoed uploads data, half-closes, and reads to the end.
func echoed(ctx context.Context, addr string, data []byte) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return errors.New("what came back is not what was sent")
	}
	return nil
}

// testConnect pipes data through the command's standard input and output to an echo server on this side, which
// answers only after the half-close: it must have been passed on.
func testConnect(t *testing.T, w *wine, data []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			defer c.Close()
			got, err := io.ReadAll(c)
			if err != nil {
				return err
			}
			_, err = c.Write(got)
			return err
		}()
	}()
	got, stderr, err := w.run(ctx, bytes.NewReader(data), w.exe, "connect", "tcp://"+l.Addr().String())
	l.Close()
	if err := errors.Join(err, <-served); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes came out, not the %d that went in", len(got), len(data))
	}
}

// testRefused wants the exit code for a connection that could not be made.
func testRefused(t *testing.T, w *wine) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // Its port is free now.
	_, stderr, err := w.run(ctx, nil, w.exe, "connect", "tcp://"+l.Addr().String())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v, want exit 3\n%s", err, stderr)
	}
}
