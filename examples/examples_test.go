// Package examples_test runs each example against its counterpart and against
// the ready services.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tincan-ipc/tincan"
	"github.com/tincan-ipc/tincan/service"
)

// programs is the folder that TestMain builds the examples into.
var programs string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		os.Stderr.WriteString(err.Error())
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs = dir
	for _, name := range []string{
		"echo/producer", "echo/consumer", "increment/client", "increment/server",
		"hello/client", "hello/server", "calculator/client", "calculator/server",
		"notifications/publisher", "notifications/subscriber", "pipeline/producer", "pipeline/consumer",
		"workers/client", "workers/queue", "workers/worker", "request-reply/client", "request-reply/server",
		"management/provider", "management/viewer", "state-change/server", "state-change/client",
	} {
		if out, err := exec.Command("go", "build", "-o", program(name), "./"+name).CombinedOutput(); err != nil { //nolint:noctx // the build has the test's time
			return 1, errors.Join(errors.New(string(out)), err)
		}
	}
	return m.Run(), nil
}

func program(name string) string {
	path := filepath.Join(programs, strings.ReplaceAll(name, "/", "-"))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	return path
}

// run runs a program to its end and gives its standard output, standard error and exit code.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// start runs a server program. It gives its URL and a function that
// interrupts it and gives its standard output.
func start(t *testing.T, name string, args ...string) (url string, stop func() string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(name), args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("%s says %q, %v", name, line, err)
	}
	return url, func() string {
		if runtime.GOOS == "windows" { // which has no interrupt for another process
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return out.String()
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return out.String()
	}
}

// ready runs a ready service in this process, and gives its URL.
func ready(t *testing.T, name, endpoint string) string {
	t.Helper()
	s, ok := service.Lookup(name)
	if !ok {
		t.Fatalf("no service %s", name)
	}
	if s.Stream != nil {
		return handling(t, endpoint, s.Stream)
	}
	h, err := s.Message(tincan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tincan.ListenMessage(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) error { return (&service.Server{}).ServeMessages(ctx, l, h) })
	return l.Addr().String()
}

// handling runs a server of h, and gives its URL.
func handling(t *testing.T, endpoint string, h service.StreamHandler) string {
	t.Helper()
	l, err := tincan.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) error { return (&service.Server{}).Serve(ctx, l, h) })
	return l.Addr().String()
}

// running runs a server until the test ends.
func running(t *testing.T, serve func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// expect runs a client and compares what it prints; its standard error must hold what stderr says.
func expect(t *testing.T, code int, stdout, stderr, name string, args ...string) {
	t.Helper()
	out, errs, got := run(t, name, args...)
	if got != code || out != stdout || !strings.Contains(errs, stderr) || (stderr == "") != (errs == "") {
		t.Errorf("%s %q: exit %d, printed %q and %q; want %d, %q and %q", name, args, got, out, errs, code, stdout, stderr)
	}
}

// nobody gives a TCP endpoint where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := tincan.Listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

const produced = "Bytes Sent: 14\nBytes received: 14\nConnection closed\n"

func TestEcho(t *testing.T) {
	expect(t, 0, produced, "", "echo/producer", ready(t, "echo", "tcp://127.0.0.1:0"))
	url, stop := start(t, "echo/consumer", "tcp://127.0.0.1:0")
	idle, err := tincan.Dial(t.Context(), url) // it serves others meanwhile
	if err != nil {
		t.Fatal(err)
	}
	expect(t, 0, produced, "", "echo/producer", url)
	idle.Close()
	if out := stop(); out != "Bytes received: 14\nBytes sent: 14\nConnection closing...\nConnection closing...\n" {
		t.Errorf("the consumer printed %q", out)
	}
	expect(t, 1, "", "refused", "echo/producer", nobody(t))
	expect(t, 2, "", "usage", "echo/producer", "a", "b")
	expect(t, 1, "", "has no scheme", "echo/consumer", "127.0.0.1")
}

func TestIncrement(t *testing.T) {
	const want = "char from server = B\n"
	socket := "unix:" + filepath.Join(t.TempDir(), "server_socket")
	for _, endpoint := range []string{"tcp://127.0.0.1:0", socket} {
		url, stop := start(t, "increment/server", endpoint)
		expect(t, 0, want, "", "increment/client", url)
		stop()
	}
	for _, endpoint := range []string{"tcp://127.0.0.1:0", socket} {
		expect(t, 0, want, "", "increment/client", ready(t, "increment", endpoint))
	}
	expect(t, 1, "", "no answer", "increment/client", handling(t, "tcp://127.0.0.1:0", func(_ context.Context, conn net.Conn) error {
		_, err := io.ReadFull(conn, make([]byte, 1))
		return err
	}))
	expect(t, 2, "", "usage", "increment/client", "a", "b")
}

func TestHello(t *testing.T) {
	url, stop := start(t, "hello/server", "tcp://127.0.0.1:0")
	for _, url := range []string{url, ready(t, "hello", "tcp://127.0.0.1:0")} {
		out, errs, code := run(t, "hello/client", url)
		if code != 0 || !strings.Contains(out, "You Connected to the Server!") || errs != "" {
			t.Errorf("exit %d, printed %q and %q", code, out, errs)
		}
	}
	stop()
	for _, tt := range []struct{ answer, stdout, stderr string }{
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "half", "cut short after 4 bytes"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half", "cut short after 4 bytes"},
		{"HTTP/1.1 200", "", "head is cut short"},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "no", "404 Not Found"},
	} {
		expect(t, 1, tt.stdout, tt.stderr, "hello/client", answering(t, tt.answer))
	}
	expect(t, 0, "whole", "", "hello/client", answering(t, "HTTP/1.0 200 OK\r\n\r\nwhole"))
}

// answering gives the URL of a server that reads a request's head, sends answer and closes.
func answering(t *testing.T, answer string) string {
	t.Helper()
	return handling(t, "tcp://127.0.0.1:0", func(_ context.Context, conn net.Conn) error {
		for r := bufio.NewReader(conn); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line == "\r\n" {
				_, err := io.WriteString(conn, answer)
				return err
			}
		}
	})
}

func TestCalculator(t *testing.T) {
	url, stop := start(t, "calculator/server", "::", "0")
	port := portOf(t, url)
	// A host without IPv6 has no ::, and then start has failed the test.
	for _, host := range []string{"::1", "127.0.0.1"} {
		expect(t, 0, "Result: 25\n", "", "calculator/client", "-op", "+", host, port, "1", "3", "5", "7", "9")
		expect(t, 0, "Result: 945\n", "", "calculator/client", "-op", "*", "-s", host, port, "1", "3", "5", "7", "9")
	}
	expect(t, 1, "", "does not fit into 32 bits", "calculator/client", "::1", port, "4294967295", "1")
	expect(t, 0, "Result: 4294967296\n", "", "calculator/client", "-s", "::1", port, "4294967295", "1")
	stop()
	expect(t, 1, "", "refused", "calculator/client", "127.0.0.1", port, "1")
	port = portOf(t, ready(t, "calc", "udp://127.0.0.1:0"))
	expect(t, 0, "Result: 25\n", "", "calculator/client", "-op", "+", "127.0.0.1", port, "1", "3", "5", "7", "9")
	for _, word := range []string{"-1", "4294967296", "x", "1.5"} {
		expect(t, 2, "", "0 to 4294967295", "calculator/client", "127.0.0.1", port, "1", word)
	}
	expect(t, 2, "", "not an operation", "calculator/client", "-op", "-", "127.0.0.1", port, "1")
	expect(t, 2, "", "usage", "calculator/client", "127.0.0.1", port)
	expect(t, 2, "", "usage", "calculator/server", "::")
	expect(t, 1, "", "port", "calculator/server", "::", "70000")
}

func portOf(t *testing.T, url string) string {
	t.Helper()
	e, err := tincan.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	return e.Port
}
