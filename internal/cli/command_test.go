package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// result is what a run of the command came to.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// run runs the command to its end.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tincan", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	start := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("tincan %s: %v", strings.Join(args, " "), err)
	}
	return result{exitStatus(cmd.ProcessState), stdout.String(), stderr.String(), time.Since(start)}
}

// background is a command that runs until the test ends, or is stopped.
type background struct {
	*exec.Cmd
	url string
	log *transcript // of its standard error
}

// A transcript is what a process has said.
type transcript struct {
	mu   sync.Mutex // guards what follows
	text []byte
	news chan struct{} // is closed by the next line; nil while nobody waits
}

func (l *transcript) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(append(l.text, line...), '\n')
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// server starts a program that says where it listens, and waits for that.
func server(t *testing.T, program string, args ...string) *background {
	t.Helper()
	cmd := exec.Command(program, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-said
		_ = cmd.Wait()
	})
	bound := make(chan string, 1)
	log := &transcript{}
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.add(lines.Text())
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				bound <- url
			}
		}
	}()
	select {
	case url := <-bound:
		return &background{cmd, url, log}
	case <-said:
		t.Fatalf("%s ended", program)
	case <-time.After(testPatience):
		t.Fatalf("%s does not listen", program)
	}
	return nil
}

// address gives the host and port of a URL.
func (b *background) address() string { _, a, _ := strings.Cut(b.url, "://"); return a }

// peer serves one connection by serve, and gives the URL to reach it.
func peer(t *testing.T, serve func(c *net.TCPConn) error) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			defer c.Close()
			err = serve(c.(*net.TCPConn))
		}
		done <- err
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		if err := <-done; err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return "tcp://" + ln.Addr().String()
}

// reset ends c with nothing left behind in TIME-WAIT.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// await waits until the file matches, and gives the groups of the match.
func await(t *testing.T, file string, re *regexp.Regexp) string {
	t.Helper()
	var text []byte
	var m [][]byte
	poll(func() bool {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		m = re.FindSubmatch(text)
		return m != nil
	}, func() { t.Fatalf("waited in vain for %v in:\n%s", re, text) })
	return string(bytes.Join(m[1:], nil))
}

// TestLateAnswer has the server answer long after the client's half-close.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	delay := 5 * time.Second
	if testing.Short() {
		delay = 2 * quietTime
	}
	url := peer(t, func(c *net.TCPConn) error {
		request, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		time.Sleep(delay) // what is tested, not waited for
		_, err = c.Write(bytes.Repeat(request, 100_000))
		return err
	})
	got := run(t, "question\n", "connect", url)
	if want := strings.Repeat("question\n", 100_000); got.code != 0 || got.stdout != want || got.stderr != "" {
		t.Errorf("exit %d, %d bytes, %q; want 0, %d bytes, nothing", got.code, len(got.stdout), got.stderr, len(want))
	}
}

// TestPeerEndsFirst: the input is sent on after the peer's end, to its last byte.
func TestPeerEndsFirst(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	received := make(chan int64, 1)
	url := peer(t, func(c *net.TCPConn) error {
		if _, err := io.WriteString(c, "no more from me\n"); err != nil {
			return err
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, c)
		received <- n
		return err
	})
	got := run(t, strings.Repeat("x", size), "connect", url)
	if n := <-received; got.code != 0 || got.stdout != "no more from me\n" || n != size {
		t.Errorf("exit %d, %q, %d bytes received: %s", got.code, got.stdout, n, got.stderr)
	}
}

// TestResetMidway: what came before is written, and the side named.
func TestResetMidway(t *testing.T) {
	t.Parallel()
	taken := make(chan struct{})
	url := peer(t, func(c *net.TCPConn) error {
		if _, err := io.WriteString(c, "half an ans"); err != nil {
			return err
		}
		<-taken
		return c.SetLinger(0)
	})
	cmd := exec.CommandContext(t.Context(), "tincan", "connect", url)
	in, out := pipes(t, cmd)
	defer in.Close()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len("half an ans"))
	if _, err := io.ReadFull(out, buf); err != nil {
		t.Fatal(err)
	}
	close(taken)
	rest, err := io.ReadAll(out)
	if err != nil || len(rest) > 0 {
		t.Errorf("then came %q, %v", rest, err)
	}
	_ = cmd.Wait()
	if code := exitStatus(cmd.ProcessState); code != 5 {
		t.Errorf("exit %d, want 5", code)
	}
	address := strings.TrimPrefix(url, "tcp://")
	for _, want := range []string{"the remote side reset", "connection reset by peer", "->" + address} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q: %s", want, &stderr)
		}
	}
}

func pipes(t *testing.T, cmd *exec.Cmd) (in io.WriteCloser, out io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// TestUnsentInput: a peer that takes no more is no orderly end.
func TestUnsentInput(t *testing.T) {
	t.Parallel()
	url := peer(t, func(c *net.TCPConn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	})
	got := run(t, strings.Repeat("x", 8<<20), "connect", url)
	if got.code != 5 || !strings.Contains(got.stderr, "the remote side") {
		t.Errorf("exit %d, want 5: %s", got.code, got.stderr)
	}
}

// TestInterruptedUpload: the peer of an upload that a signal ended must not
// take what it got for the whole.
func TestInterruptedUpload(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("needs signals")
	}
	started, end := make(chan struct{}), make(chan error, 1)
	url := peer(t, func(c *net.TCPConn) error {
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			return err
		}
		close(started)
		_, err := io.Copy(io.Discard, c)
		end <- err
		return nil
	})
	cmd := exec.CommandContext(t.Context(), "tincan", "connect", url)
	in, _ := pipes(t, cmd)
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := exitStatus(cmd.ProcessState); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	if err := <-end; err == nil {
		t.Error("the peer saw an orderly end")
	}
}

// TestRate: what passes takes its time, but for the tenth of a second that may come at once.
func TestRate(t *testing.T) {
	t.Parallel()
	echo := server(t, "tincan", "serve", "echo", "tcp://127.0.0.1:0")
	got := run(t, strings.Repeat("x", 60_000), "connect", "--rate", "100kB/s", echo.url)
	if got.code != 0 || len(got.stdout) != 60_000 {
		t.Fatalf("exit %d, %d bytes: %s", got.code, len(got.stdout), got.stderr)
	}
	if got.took < 500*time.Millisecond || got.took > 10*time.Second {
		t.Errorf("60 kB at 100 kB/s took %v, want at least 0.5 s", got.took)
	}
}

// TestBadInput: each mistake gets one clear line, a hint, and exit code 2.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"", "conect tcp://127.0.0.1:1", "connect", "connect tcp://127.0.0.1:1 tcp://127.0.0.1:2", "connect --nonsense tcp://127.0.0.1:1",
		"connect 127.0.0.1:80", "connect tpc://127.0.0.1:80", "connect tcp://127.0.0.1", "connect tcp:127.0.0.1:80",
		"connect tcp://::1:80", "connect tcp://127.0.0.1:80?no-dealy", "connect tcp://127.0.0.1:80?mode=0600", "connect unix:",
		"connect tcp://127.0.0.1:80/path", "connect mem:x", "listen mem:x", "serve echo mem:x",
		"connect --timeout never tcp://127.0.0.1:1", "connect --timeout -1s tcp://127.0.0.1:1", "connect --idle-timeout 0 tcp://127.0.0.1:1",
		"connect --retry --backoff 2s..1s tcp://127.0.0.1:1", "connect --backoff 1s tcp://127.0.0.1:1", "listen --backoff 1s tcp://127.0.0.1:0", "connect --rate fast tcp://127.0.0.1:1", "connect --rate 0 tcp://127.0.0.1:1",
		"connect --frame lines udp://127.0.0.1:1", "connect --frame line tcp://127.0.0.1:1",
		"listen --max-conns 0 tcp://127.0.0.1:0", "listen --max-conns-per-source many tcp://127.0.0.1:0", "listen --drain -1s tcp://127.0.0.1:0",
		"serve nothing", "serve chargen", "serve hello udp://127.0.0.1:0", "serve calc tcp://127.0.0.1:0", "serve echo http://127.0.0.1:0",
		"calc + udp://127.0.0.1:1", "calc - udp://127.0.0.1:1 1", "calc + udp://127.0.0.1:1 4294967296", "calc + udp://127.0.0.1:1 1.5",
		"calc + tcp://127.0.0.1:1 1", "calc --retries -1 + udp://127.0.0.1:1 1", "cert", "cert dir", "cert dir a/b", "completion", "completion csh", "version x",
	} {
		got := run(t, "", strings.Fields(args)...)
		lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		if got.code != 2 || got.stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "tincan: ") || !strings.HasPrefix(lines[1], "hint: ") {
			t.Errorf("tincan %s: exit %d, stdout %q, stderr:\n%s", args, got.code, got.stdout, got.stderr)
		}
	}
	if got := run(t, "", "connect", "tcp://127.0.0.1:65536"); got.code != 2 || !strings.Contains(got.stderr, `port "65536"`) {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}
